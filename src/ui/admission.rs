//! Who is answered: browsers on this machine that ask for this server by its own name, from its own pages.
//!
//! Any site may give its name the address of this machine and then read what is here as if it were its own (DNS rebinding). Such a
//! request still names that site as its `Host`, and as its `Origin` where it has one.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::report;

/// The names of this machine for itself.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Answers what is admitted, with headers that keep other sites out.
pub(super) async fn check(State(port): State<u16>, request: Request, next: Next) -> Response {
    if let Err(stranger) = admitted(request.headers(), request.uri(), port) {
        let text = format!("packtrain ui answers only pages and addresses of http://localhost:{port}/, and not `{stranger}`.\n");
        return (StatusCode::FORBIDDEN, text).into_response();
    }
    let mut response = match *request.method() {
        Method::GET | Method::HEAD => next.run(request).await,
        _ => (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")], "packtrain ui only shows; use GET.\n").into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in
        [(header::X_CONTENT_TYPE_OPTIONS, "nosniff"), (header::REFERRER_POLICY, "no-referrer"), (header::CACHE_CONTROL, "no-store")]
    {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(policy) = HeaderValue::from_str(&report::server_policy()) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// The name that is not ours is the error.
fn admitted(headers: &HeaderMap, uri: &Uri, port: u16) -> Result<(), String> {
    let named = headers.get_all(header::HOST).iter().map(text).chain(uri.authority().map(ToString::to_string)).collect::<Vec<_>>();
    if named.is_empty() {
        return Err("a request without a Host".to_owned());
    }
    let origins = headers.get_all(header::ORIGIN).iter().map(text);
    let strange_host = named.into_iter().find(|host| !is_own(host, port));
    let strange_origin = || origins.into_iter().find(|origin| !origin.strip_prefix("http://").is_some_and(|host| is_own(host, port)));
    strange_host.or_else(strange_origin).map_or(Ok(()), Err)
}

fn is_own(host: &str, port: u16) -> bool {
    let host = host.to_ascii_lowercase();
    NAMES.iter().any(|name| host == format!("{name}:{port}") || (port == 80 && host == *name))
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(host: Option<&str>, origin: Option<&str>) -> Result<(), String> {
        let mut headers = HeaderMap::new();
        let mut set = |name, value: Option<&str>| value.map(|value| headers.insert(name, value.parse().unwrap()));
        set(header::HOST, host);
        set(header::ORIGIN, origin);
        admitted(&headers, &Uri::from_static("/run/last"), 8417)
    }

    #[test]
    fn only_names_of_this_machine_with_this_port_are_admitted() {
        for host in ["localhost:8417", "LocalHost:8417", "127.0.0.1:8417", "[::1]:8417"] {
            assert_eq!(ask(Some(host), None), Ok(()));
            assert_eq!(ask(Some(host), Some(&format!("http://{host}"))), Ok(()));
        }
        for host in ["localhost", "localhost:80", "127.0.0.1:84170", "evil.example:8417", "localhost:8417.evil.example", "0.0.0.0:8417", ""]
        {
            assert_eq!(ask(Some(host), None), Err(host.to_owned()));
        }
        assert!(ask(None, None).is_err());
        for origin in ["null", "https://localhost:8417", "http://evil.example", "http://localhost:8418", "http://localhost:8417/"] {
            assert_eq!(ask(Some("localhost:8417"), Some(origin)), Err(origin.to_owned()));
        }
    }

    #[test]
    fn an_address_in_the_request_line_and_a_second_host_count_too() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("localhost:8417"));
        assert!(admitted(&headers, &Uri::from_static("http://evil.example/"), 8417).is_err());
        headers.append(header::HOST, HeaderValue::from_static("evil.example"));
        assert!(admitted(&headers, &Uri::from_static("/"), 8417).is_err());
    }
}
