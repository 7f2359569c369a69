//! `curl` asks a small server of ours.

use std::process::Command;
use std::thread;

use afunix::{UnixAddr, UnixListener, UnixStream};

use crate::common::{LONG, TempDir, Watchdog, addr, name, run};
use crate::tool::{is_there, large, output, write_all};

/// A request up to the end of its body.
struct Request {
    line: String,
    body: Vec<u8>,
}

fn read_request(stream: &UnixStream) -> Request {
    let (mut bytes, mut buf) = (Vec::new(), vec![0; 64 * 1024]);
    let mut more = |bytes: &mut Vec<u8>| {
        let count = stream.read(&mut buf).unwrap();
        assert!(count > 0, "the end after {} bytes", bytes.len());
        bytes.extend_from_slice(&buf[..count]);
    };
    let head = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        more(&mut bytes);
    };
    let text = String::from_utf8(bytes[..head].to_vec()).unwrap();
    let length = text.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let length: usize = length.map_or(0, |length| length.parse().unwrap());
    while bytes.len() < head + length {
        more(&mut bytes);
    }
    assert_eq!(bytes.len(), head + length);
    let line = text.lines().next().unwrap().to_string();
    Request { line, body: bytes.split_off(head) }
}

fn curl() -> Command {
    let mut curl = Command::new("curl");
    // Its user's configuration is none of ours.
    curl.args(["--disable", "--silent", "--show-error", "--max-time", "10"]);
    curl
}

/// Serves one request, with `answer`, while `curl` runs; gives the request, and what it printed.
fn exchange(listener: &UnixListener, answer: &[u8], args: &[&str]) -> (Request, Vec<u8>) {
    let _watchdog = Watchdog::new();
    thread::scope(|scope| {
        let server = scope.spawn(|| {
            listener.set_accept_timeout(Some(LONG / 2)).unwrap();
            let (stream, _) = listener.accept().unwrap();
            let request = read_request(&stream);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len());
            write_all(&stream, head.as_bytes());
            write_all(&stream, answer);
            request
        });
        let printed = output(curl().args(args));
        (server.join().unwrap(), printed)
    })
}

#[test]
fn curl_gets_from_a_path_of_any_length_that_it_takes() {
    if !is_there("curl", "--version") {
        return;
    }
    let dir = TempDir::new();
    let answer = large();
    for path in [dir.join("s"), dir.path_of_len(50), dir.path_of_len(106), dir.path_of_len(107)] {
        let listener = UnixListener::bind(&addr(&path)).unwrap();
        let path = path.to_str().unwrap();
        let args = ["--unix-socket", path, "http://localhost/a?b=c"];
        let (request, printed) = exchange(&listener, &answer, &args);
        assert_eq!(request.line, "GET /a?b=c HTTP/1.1");
        assert!(printed == answer, "{path}: {} bytes", printed.len());
    }
}

/// It wants room for a NUL behind the path: so the last byte of ours is out of its reach.
#[test]
fn curl_does_not_take_the_longest_path() {
    if !is_there("curl", "--version") {
        return;
    }
    let dir = TempDir::new();
    let path = dir.path_of_len(108);
    let listener = UnixListener::bind(&addr(&path)).unwrap();
    let args = ["--unix-socket", path.to_str().unwrap(), "http://localhost/"];
    let refused = run(curl().args(args));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("too long"), "{said}");
    // We do.
    let client = UnixStream::connect(&addr(&path)).unwrap();
    drop(listener.accept().unwrap());
    drop(client);
}

#[test]
fn curl_gets_from_an_abstract_name() {
    if !is_there("curl", "--version") {
        return;
    }
    // Up to the longest that it has room for.
    let long = format!("{}-{}", std::process::id(), "n".repeat(107));
    let longest = UnixAddr::from_abstract_name(&long.as_bytes()[..106]).unwrap();
    for addr in [name("curl"), longest] {
        let text = std::str::from_utf8(addr.as_abstract_name().unwrap()).unwrap();
        let listener = UnixListener::bind(&addr).unwrap();
        let args = ["--abstract-unix-socket", text, "http://localhost/"];
        let (request, printed) = exchange(&listener, b"abstract", &args);
        assert_eq!(request.line, "GET / HTTP/1.1");
        assert_eq!(printed, b"abstract");
    }
}

#[test]
fn curl_posts_some_megabytes() {
    if !is_there("curl", "--version") {
        return;
    }
    let dir = TempDir::new();
    let (socket, file) = (dir.join("s"), dir.join("body"));
    let body = large();
    std::fs::write(&file, &body).unwrap();
    let listener = UnixListener::bind(&addr(&socket)).unwrap();
    let from = format!("@{}", file.to_str().unwrap());
    let socket = socket.to_str().unwrap();
    // Without being asked to go on, which it waits for.
    let args = [
        "--unix-socket",
        socket,
        "--header",
        "Expect:",
        "--data-binary",
        &from,
        "http://localhost/up",
    ];
    let (request, printed) = exchange(&listener, b"thanks", &args);
    assert_eq!(request.line, "POST /up HTTP/1.1");
    assert!(request.body == body, "{} bytes", request.body.len());
    assert_eq!(printed, b"thanks");
}

#[test]
fn curl_is_refused_where_nobody_listens() {
    if !is_there("curl", "--version") {
        return;
    }
    let dir = TempDir::new();
    let listener = UnixListener::bind(&dir.addr("s")).unwrap();
    let path = dir.join("s");
    let args = ["--unix-socket", path.to_str().unwrap(), "http://localhost/"];
    let (_, printed) = exchange(&listener, b"here", &args);
    assert_eq!(printed, b"here");
    // The file is still there.
    drop(listener);
    let refused = run(curl().args(args));
    // 7: "Failed to connect".
    assert_eq!(refused.status.code(), Some(7), "{refused:?}");
}
