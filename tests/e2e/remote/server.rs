//! Servers on loopback for the remote cache: a plain HTTP server that can be made to misbehave, and a real S3 server.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tokio::runtime::Runtime;

/// How the server treats requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Good,
    /// Closes the connection after so many bytes of a file.
    CutsAfter(usize),
    /// As [`Manner::CutsAfter`], and gives no parts of files.
    CutsTheFirst(usize),
    /// Closes connections without an answer.
    Closes,
    /// Never answers.
    Hangs,
    /// Sends a file in pieces of 64 KiB with this pause after each, and reads one so.
    Slow(Duration),
    /// Answers 403.
    Refuses,
}

/// Serves a folder by GET and HEAD, with ranges, and takes files by PUT; asks for a token if it has one.
pub struct FileServer {
    pub folder: tempfile::TempDir,
    port: u16,
    state: Arc<State>,
}

struct State {
    root: PathBuf,
    token: Option<&'static str>,
    manner: Mutex<Manner>,
    /// The method, the path and the range of each request.
    requests: Mutex<Vec<String>>,
}

impl FileServer {
    pub fn new(manner: Manner) -> FileServer {
        FileServer::with_token(manner, None)
    }

    pub fn with_token(manner: Manner, token: Option<&'static str>) -> FileServer {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (manner, requests) = (Mutex::new(manner), Mutex::default());
        let state = Arc::new(State { root: folder.path().to_owned(), token, manner, requests });
        let served = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // The last connection is that of `drop`.
                if Arc::strong_count(&served) == 1 {
                    return;
                }
                let state = Arc::clone(&served);
                thread::spawn(move || drop(state.serve(&stream)));
            }
        });
        FileServer { folder, port, state }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/team", self.port)
    }

    pub fn behave(&self, manner: Manner) {
        *self.state.manner.lock().unwrap() = manner;
    }

    pub fn requests(&self) -> Vec<String> {
        self.state.requests.lock().unwrap().clone()
    }

    /// Where the files of the remote lie.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("team/packtrain-1")
    }
}

impl Drop for FileServer {
    fn drop(&mut self) {
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

/// What matters of a request.
struct Request {
    method: String,
    path: String,
    /// The first byte that is wanted.
    from: Option<usize>,
    length: usize,
    token: Option<String>,
}

impl Request {
    fn read(reader: &mut impl BufRead) -> Option<Request> {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let mut words = line.split_whitespace();
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut request = Request { method, path, from: None, length: 0, token: None };
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            let Some((name, value)) = header.trim_end().split_once(": ") else { return Some(request) };
            match name.to_ascii_lowercase().as_str() {
                "range" => request.from = value.strip_prefix("bytes=").and_then(|range| range.split('-').next()?.parse().ok()),
                "content-length" => request.length = value.parse().ok()?,
                "authorization" => request.token = value.strip_prefix("Bearer ").map(str::to_owned),
                _ => {}
            }
        }
    }
}

impl State {
    fn serve(&self, stream: &TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream);
        let Some(request) = Request::read(&mut reader) else { return Ok(()) };
        let Request { method, path, from, .. } = &request;
        self.requests.lock().unwrap().push(format!("{method} {path} {}", from.map(|from| from.to_string()).unwrap_or_default()));
        let manner = *self.manner.lock().unwrap();
        match manner {
            Manner::Closes => return stream.shutdown(Shutdown::Both),
            Manner::Hangs => {
                thread::sleep(Duration::from_secs(120));
                return Ok(());
            }
            Manner::Refuses => return answer(stream, "403 Forbidden", ""),
            _ if self.token.is_some() && self.token != request.token.as_deref() => return answer(stream, "401 Unauthorized", ""),
            _ => {}
        }
        let file = self.root.join(path.trim_start_matches('/'));
        if method == "PUT" {
            let body = read_body(&mut reader, request.length, manner)?;
            fs::create_dir_all(file.parent().unwrap())?;
            // Whole or not at all, as servers of files do.
            let temporary = file.with_extension("part");
            fs::write(&temporary, body)?;
            fs::rename(temporary, file)?;
            return answer(stream, "201 Created", "");
        }
        match fs::read(&file) {
            Ok(content) => self.give(stream, &request, &content, manner),
            Err(_) => answer(stream, "404 Not Found", ""),
        }
    }

    fn give(&self, mut stream: &TcpStream, request: &Request, content: &[u8], manner: Manner) -> std::io::Result<()> {
        let from = request.from.filter(|_| !matches!(manner, Manner::CutsTheFirst(_)));
        let body = &content[from.unwrap_or(0)..];
        let head = match from {
            Some(from) => format!("206 Partial Content\r\nContent-Range: bytes {from}-{}/{}", content.len() - 1, content.len()),
            None => "200 OK".to_owned(),
        };
        write!(stream, "HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
        if request.method == "HEAD" {
            return Ok(());
        }
        let cut = |length: usize| stream.shutdown(Shutdown::Both).map(|()| length);
        match manner {
            Manner::CutsAfter(length) if body.len() > length => {
                stream.write_all(&body[..length])?;
                cut(length).map(drop)
            }
            Manner::CutsTheFirst(length) if body.len() > length => {
                stream.write_all(&body[..length])?;
                let begun = format!("GET {}", request.path);
                if self.requests.lock().unwrap().iter().filter(|request| request.starts_with(&begun)).count() >= 3 {
                    return stream.write_all(&body[length..]);
                }
                cut(length).map(drop)
            }
            Manner::Slow(pause) => body.chunks(1 << 16).try_for_each(|piece| {
                thread::sleep(pause);
                stream.write_all(piece)
            }),
            _ => stream.write_all(body),
        }
    }
}

fn read_body(reader: &mut impl Read, length: usize, manner: Manner) -> std::io::Result<Vec<u8>> {
    let mut body = vec![0; length];
    for piece in body.chunks_mut(1 << 16) {
        if let Manner::Slow(pause) = manner {
            thread::sleep(pause);
        }
        reader.read_exact(piece)?;
    }
    Ok(body)
}

fn answer(mut stream: &TcpStream, status: &str, body: &str) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

/// An S3 server over a folder, with the bucket `team`.
pub struct S3Server {
    pub folder: tempfile::TempDir,
    endpoint: String,
    /// Ends the server when it is dropped.
    #[expect(dead_code, reason = "held for its threads")]
    runtime: Runtime,
}

pub const ACCESS_KEY: &str = "AKIDPACKTRAIN";
pub const SECRET_KEY: &str = "geheim-geheim-geheim";

impl S3Server {
    pub fn new() -> S3Server {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("team")).unwrap();
        let mut builder = S3ServiceBuilder::new(FileSystem::new(folder.path()).unwrap());
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = builder.build();
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move { drop(Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service).await) });
            }
        });
        S3Server { folder, endpoint, runtime }
    }

    /// What tools for S3 take from the environment.
    pub fn variables(&self) -> [(&'static str, &str); 4] {
        [
            ("AWS_ENDPOINT_URL", &self.endpoint),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
            ("AWS_REGION", "us-east-1"),
        ]
    }

    /// Where the files of the remote `s3://team/cache` lie.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("team/cache/packtrain-1")
    }
}
