//! The bundle's description as an RO-Crate, <https://w3id.org/ro/crate/1.1>: what other tools read of it.

use std::path::Path;

use serde_json::{Value, json};

use crate::bundle::contents::BundleFile;
use crate::bundle::{Bundle, CRATE, INDEX, MANIFEST};

const VERSION: &str = "https://w3id.org/ro/crate/1.1";
/// A crate must say how it may be used.
const NO_LICENSE: &str = "Nobody has said how this may be used: ask those who made it.";
const SPDX: &str = "https://spdx.org/licenses/";

/// The content of `ro-crate-metadata.json`.
pub(super) fn metadata(bundle: &Bundle) -> Value {
    let provenance = &bundle.record.provenance;
    let run = format!("#run-{}", bundle.record.id);
    let parts: Vec<Value> = bundle.files.keys().map(|path| reference(path)).chain([reference(INDEX)]).collect();
    let results: Vec<Value> = bundle.files.keys().filter(|path| path.starts_with("results/")).map(|path| reference(path)).collect();
    let terms = bundle.license.as_deref().unwrap_or(NO_LICENSE);
    let license = known_license(terms);
    let mut graph = vec![
        json!({
            "@id": CRATE,
            "@type": "CreativeWork",
            "conformsTo": { "@id": VERSION },
            "about": { "@id": "./" }
        }),
        json!({
            "@id": "./",
            "@type": "Dataset",
            "name": provenance.pipeline,
            "description": format!("An image-classification experiment, {}, with the records of its run {}.", provenance.pipeline, bundle.record.id),
            "datePublished": provenance.started,
            "license": license.as_ref().map_or_else(|| json!(terms), |license| json!({ "@id": license["@id"] })),
            "mainEntity": reference(MANIFEST),
            "mentions": { "@id": run },
            "hasPart": parts
        }),
        json!({
            "@id": run,
            "@type": "CreateAction",
            "name": format!("The run {}", bundle.record.id),
            "startTime": provenance.started,
            "instrument": { "@id": "#packtrain" },
            "object": reference(MANIFEST),
            "result": results
        }),
        json!({ "@id": "#packtrain", "@type": "SoftwareApplication", "name": "packtrain", "softwareVersion": provenance.tool }),
    ];
    graph.extend(license);
    graph.extend(bundle.files.iter().map(|(path, file)| described(path, file)));
    graph.push(json!({
        "@id": INDEX,
        "@type": "File",
        "name": INDEX,
        "description": "Every other file with its BLAKE3 digest",
        "encodingFormat": "application/json"
    }));
    json!({ "@context": format!("{VERSION}/context"), "@graph": graph })
}

/// The terms as an entity, if they are an address or an SPDX identifier and not a sentence.
fn known_license(terms: &str) -> Option<Value> {
    let id = match terms {
        _ if terms.contains(char::is_whitespace) => return None,
        _ if terms.starts_with("https://") || terms.starts_with("http://") => terms.to_owned(),
        _ => format!("{SPDX}{terms}"),
    };
    Some(json!({ "@id": id, "@type": "CreativeWork", "name": terms, "description": "The terms under which this may be used" }))
}

fn described(path: &str, BundleFile { content, about, name }: &BundleFile) -> Value {
    let mark = content.mark();
    json!({
        "@id": encoded(path),
        "@type": "File",
        "name": Path::new(name).file_name().map(|name| name.to_string_lossy()),
        "description": about,
        "encodingFormat": media_type(name),
        "contentSize": mark.size.to_string(),
        "identifier": format!("blake3:{}", mark.digest)
    })
}

fn reference(path: &str) -> Value {
    json!({ "@id": encoded(path) })
}

/// A path as a URI reference, RFC 3986.
fn encoded(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/!$&'()*+,;=@".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri += &format!("%{byte:02X}");
        }
    }
    uri
}

fn media_type(name: &str) -> &'static str {
    match Path::new(name).extension().and_then(|extension| extension.to_str()) {
        Some("csv") => "text/csv",
        Some("h5" | "hdf5") => "application/x-hdf5",
        Some("html") => "text/html",
        Some("json") => "application/json",
        Some("md") => "text/markdown",
        Some("svg") => "image/svg+xml",
        Some("txt") => "text/plain",
        Some("yaml" | "yml") => "application/yaml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_an_entity_if_they_are_known_elsewhere() {
        let id = |terms| known_license(terms).map(|license| license["@id"].clone());
        assert_eq!(id("CC-BY-4.0"), Some(json!("https://spdx.org/licenses/CC-BY-4.0")));
        assert_eq!(id("https://example.org/terms"), Some(json!("https://example.org/terms")));
        assert_eq!([id("Not for sale."), id(NO_LICENSE)], [None, None]);
    }
}
