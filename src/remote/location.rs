//! Where a remote cache is, as people write it: a folder, `http(s)://…` or `s3://bucket/prefix`.
//!
//! An address never holds what must stay secret: it may be shown, and it stands in command lines that records keep. One that does is
//! refused, by an error that does not repeat it.

use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;
use url::Url;

/// The place of a remote cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemoteLocation {
    /// Absolute.
    Folder(PathBuf),
    /// `http` or `https`, without anything after the path.
    Http(Url),
    /// The prefix may be empty.
    S3 { bucket: String, prefix: String },
}

/// Why a text is no place of a remote cache.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LocationError {
    #[error(
        "the address of the remote cache holds a name, a password or a token, which would be kept in records; {}",
        "for S3 set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead, for HTTP set PACKTRAIN_REMOTE_TOKEN"
    )]
    Secret,
    #[error("`{0}` is no place of a remote cache; write a folder, http://…, https://… or s3://bucket/prefix")]
    Unknown(String),
}

impl RemoteLocation {
    /// Reads a place; a folder that is not absolute lies in `folder`.
    pub fn parse(text: &str, folder: &Path) -> Result<RemoteLocation, LocationError> {
        if !text.contains("://") {
            return Ok(RemoteLocation::Folder(folder.join(text)));
        }
        // What cannot be read as an address may hold a secret anywhere.
        let unknown = || LocationError::Unknown(format!("{}://…", text.split("://").next().unwrap_or_default()));
        let url = Url::parse(text).map_err(|_| unknown())?;
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(LocationError::Secret);
        }
        match (url.scheme(), url.host_str()) {
            ("http" | "https", Some(_)) => Ok(RemoteLocation::Http(url)),
            ("s3", Some(bucket)) => Ok(RemoteLocation::S3 { bucket: bucket.to_owned(), prefix: url.path().trim_matches('/').to_owned() }),
            ("file", None) => url.to_file_path().map(RemoteLocation::Folder).map_err(|()| unknown()),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for RemoteLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RemoteLocation::Folder(path) => write!(f, "{}", path.display()),
            RemoteLocation::Http(url) => write!(f, "{url}"),
            RemoteLocation::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            RemoteLocation::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, String> {
        let location = RemoteLocation::parse(text, Path::new("/project"));
        location.map(|location| location.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn places_are_written_in_several_ways() {
        let places =
            ["/srv/cache", "../cache", "file:///srv/cache", "https://example.org/team/", "http://[::1]:8080", "s3://bucket/a/b/", "s3://b"];
        let shown = places.map(|place| parse(place).unwrap());
        let expected = [
            "/srv/cache",
            "/project/../cache",
            "/srv/cache",
            "https://example.org/team/",
            "http://[::1]:8080/",
            "s3://bucket/a/b",
            "s3://b",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn what_is_secret_is_refused_and_not_repeated() {
        for text in [
            "https://user:geheim@example.org/",
            "https://geheim@example.org/",
            "s3://key:geheim@bucket/a",
            "https://example.org/?token=geheim",
            "https://example.org/#geheim",
            "gs://geheim@bucket",
            "https://geheim:x@",
        ] {
            let told = parse(text).unwrap_err();
            assert!(!told.contains("geheim"), "{told}");
        }
        assert!(parse("https://u:p@example.org").unwrap_err().contains("PACKTRAIN_REMOTE_TOKEN"));
        assert_eq!(
            parse("gs://bucket").unwrap_err(),
            "`gs://…` is no place of a remote cache; write a folder, http://…, https://… or s3://bucket/prefix"
        );
    }
}
