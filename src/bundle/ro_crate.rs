//! The bundle's description as an RO-Crate, <https://w3id.org/ro/crate/1.1>: what other tools read of it.

use std::path::Path;

use serde_json::{Value, json};

use crate::bundle::contents::BundleFile;
use crate::bundle::{Bundle, CRATE, INDEX, MANIFEST};

const VERSION: &str = "https://w3id.org/ro/crate/1.1";

/// The content of `ro-crate-metadata.json`.
pub(super) fn metadata(bundle: &Bundle) -> Value {
    let provenance = &bundle.record.provenance;
    let run = format!("#run-{}", bundle.record.id);
    let parts: Vec<Value> = bundle.files.keys().map(|path| reference(path)).chain([reference(INDEX)]).collect();
    let results: Vec<Value> = bundle.files.keys().filter(|path| path.starts_with("results/")).map(|path| reference(path)).collect();
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
