//! The connection to a remote: the store, and the threads that its transfers run on. Made when the remote is first asked.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::http::HttpBuilder;
use object_store::local::LocalFileSystem;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ClientConfigKey, ClientOptions, HeaderMap, HeaderValue, ObjectStore, RetryConfig};
use tokio::runtime::{Builder, Runtime};

use crate::remote::RemoteLocation;

/// The token for a remote on a plain HTTP server, which is sent as `Authorization: Bearer …`.
const TOKEN_VARIABLE: &str = "PACKTRAIN_REMOTE_TOKEN";

const CONNECT: Duration = Duration::from_secs(5);

/// Of one request. Silence is bounded where answers are waited for (`patience.rs`), so that a long transfer need not be.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

const NO_CREDENTIALS: &str = "the environment holds no credentials for it; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or \
                              AWS_SKIP_SIGNATURE=true for a bucket that is open to all, or AWS_METADATA_ENDPOINT where the machine's \
                              own role is meant";

/// What asks and answers.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) runtime: Runtime,
}

impl Link {
    /// Asks nothing yet; says what is wrong with what it is made from.
    pub(super) fn new(location: &RemoteLocation) -> Result<Link, String> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("remote").enable_all().build();
        Ok(Link { runtime: runtime.map_err(|error| error.to_string())?, store: store(location)? })
    }

    /// Does it on this thread, while the runtime's own thread serves the connections.
    pub(super) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }
}

/// A folder that is to become a remote; only its last part is made, because a drive that is not mounted is no empty one.
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

fn store(location: &RemoteLocation) -> Result<Arc<dyn ObjectStore>, String> {
    // Which implementation TLS takes; fails only where it has been chosen before.
    drop(rustls::crypto::ring::default_provider().install_default());
    let told = |error: object_store::Error| error.to_string();
    Ok(match location {
        RemoteLocation::Folder(path) if !path.is_dir() => return Err("there is no such folder".to_owned()),
        RemoteLocation::Folder(path) => Arc::new(LocalFileSystem::new_with_prefix(path).map_err(told)?.with_fsync(true)),
        RemoteLocation::Http(url) => {
            let options = client()?.with_allow_http(url.scheme() == "http");
            Arc::new(HttpBuilder::new().with_url(url.as_str()).with_client_options(options).with_retry(retry()).build().map_err(told)?)
        }
        RemoteLocation::S3 { bucket, prefix } => {
            let s3 = s3();
            if !names_credentials(&s3) {
                return Err(NO_CREDENTIALS.to_owned());
            }
            Arc::new(PrefixStore::new(s3.with_bucket_name(bucket).build().map_err(told)?, prefix.as_str()))
        }
    })
}

/// Everything that other tools take from the environment too, credentials among it. Who names an endpoint without TLS wants that.
fn s3() -> AmazonS3Builder {
    let s3 = AmazonS3Builder::from_env().with_retry(retry());
    let endpoints = [AmazonS3ConfigKey::Endpoint, AmazonS3ConfigKey::S3Endpoint];
    let is_plain = endpoints.iter().filter_map(|key| s3.get_config_value(key)).any(|url| url.starts_with("http://"));
    let s3 = s3
        .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::ConnectTimeout), format!("{} seconds", CONNECT.as_secs()))
        .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::Timeout), format!("{} seconds", LONGEST.as_secs()));
    if is_plain { s3.with_allow_http(true) } else { s3 }
}

/// Whether it says where credentials are, or that none are needed. Without that the store would ask a service of the network that the
/// machine happens to be in.
fn names_credentials(s3: &AmazonS3Builder) -> bool {
    use AmazonS3ConfigKey as Key;
    let has = |key: Key| s3.get_config_value(&key).is_some();
    has(Key::AccessKeyId)
        || has(Key::SecretAccessKey)
        || (has(Key::WebIdentityTokenFile) && has(Key::RoleArn))
        || has(Key::ContainerCredentialsRelativeUri)
        || (has(Key::ContainerCredentialsFullUri) && has(Key::ContainerAuthorizationTokenFile))
        || has(Key::MetadataEndpoint)
        || s3.get_config_value(&Key::SkipSignature).is_some_and(|value| value == "true")
}

fn plain_client() -> ClientOptions {
    ClientOptions::new().with_connect_timeout(CONNECT).with_timeout(LONGEST).with_user_agent(HeaderValue::from_static("packtrain"))
}

fn client() -> Result<ClientOptions, String> {
    #[expect(clippy::disallowed_methods, reason = "a token is never given on the command line, where others can see it")]
    let Some(token) = std::env::var_os(TOKEN_VARIABLE).filter(|token| !token.is_empty()) else { return Ok(plain_client()) };
    let value = token.to_str().and_then(|token| HeaderValue::from_str(&format!("Bearer {token}")).ok());
    let mut value = value.ok_or_else(|| format!("{TOKEN_VARIABLE} holds what no token has"))?;
    value.set_sensitive(true);
    let mut headers = HeaderMap::new();
    headers.insert("authorization", value);
    Ok(plain_client().with_default_headers(headers))
}

/// A remote that fails is given up after a few seconds: a run can go on without it.
fn retry() -> RetryConfig {
    let backoff = BackoffConfig { init_backoff: Duration::from_millis(100), max_backoff: Duration::from_secs(2), base: 2.0 };
    RetryConfig { backoff, max_retries: 3, retry_timeout: Duration::from_secs(10) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_without_credentials_asks_nobody_for_some() {
        use AmazonS3ConfigKey as Key;
        let named = |values: &[(Key, &str)]| {
            let s3 = values.iter().fold(AmazonS3Builder::new(), |s3, (key, value)| s3.with_config(*key, *value));
            names_credentials(&s3)
        };
        assert!(!named(&[]));
        assert!(!named(&[(Key::Region, "eu-west-1"), (Key::Endpoint, "http://127.0.0.1:1")]));
        assert!(!named(&[(Key::WebIdentityTokenFile, "/token")]));
        assert!(!named(&[(Key::SkipSignature, "false")]));
        assert!(named(&[(Key::AccessKeyId, "key"), (Key::SecretAccessKey, "secret")]));
        assert!(named(&[(Key::WebIdentityTokenFile, "/token"), (Key::RoleArn, "arn:aws:iam::1:role/r")]));
        assert!(named(&[(Key::SkipSignature, "true")]));
        assert!(named(&[(Key::MetadataEndpoint, "http://127.0.0.1:1")]));
    }
}
