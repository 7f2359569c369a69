//! `http_get` and its reader, with servers that keep to HTTP and servers that do not.

use std::io::{self, Read};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use afunix::{UnixDatagram, UnixListener, UnixStream};

use crate::common::{LONG, TempDir, Watchdog, assert_success, finish, skip, spawn};
use crate::program::*;
use crate::response::{Body, Error, HEADERS_MAX, KEPT_MAX, Response};

/// Gives so many bytes at a time, and no more than there are.
struct Pieces<'a> {
    bytes: &'a [u8],
    size: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.size.min(buf.len()).min(self.bytes.len());
        let (now, rest) = self.bytes.split_at(count);
        buf[..count].copy_from_slice(now);
        self.bytes = rest;
        Ok(count)
    }
}

/// The status and the body, or what is wrong and what of the body came before.
fn read(bytes: &[u8], size: usize) -> (Result<u16, String>, Vec<u8>) {
    let mut response = Response::new(Pieces { bytes, size });
    let mut body = Vec::new();
    let status = response.head().and_then(|head| {
        response.body(&head, &mut body)?;
        Ok(head.status)
    });
    (status.map_err(|error| error.to_string()), body)
}

/// The same whatever the pieces are that it comes in.
#[track_caller]
fn assert_reads(bytes: &[u8], wanted: Result<u16, &str>, body: &[u8]) {
    for size in [1, 2, 3, 7, 100, 4096, usize::MAX] {
        let (status, got) = read(bytes, size);
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
        assert_eq!(
            status.as_ref().map_err(String::as_str),
            wanted.as_ref().map_err(|e| *e),
            "{shown}"
        );
        assert_eq!(status.as_ref().ok().copied(), wanted.ok(), "{shown}");
        assert!(got == body, "{size}: {} bytes of {shown}", got.len());
    }
}

#[test]
fn http_get_reads_what_servers_send() {
    let ok = |bytes: &str, body: &str| assert_reads(bytes.as_bytes(), Ok(200), body.as_bytes());
    ok("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello");
    ok("HTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n", "");
    ok("HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\nContent-Length: 5\r\n\r\nhello", "hello");
    // What follows the body is not of it.
    ok("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhello", "he");
    ok("HTTP/1.1 200 OK\r\n\r\nuntil the end", "until the end");
    ok("HTTP/1.0 200 OK\r\nServer: old\r\n\r\nuntil the end", "until the end");
    ok("HTTP/1.1 200\r\n\r\n", "");
    ok("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "hello");
    ok(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n\
         1;name=value\r\nh\r\n000b \r\nello, world\r\nA\r\n0123456789\r\n\
         0\r\nTrailer: of\r\nNo: interest\r\n\r\nnot of it",
        "hello, world0123456789",
    );
    ok(
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nx",
        "x",
    );
    assert_reads(b"HTTP/1.1 204 No Content\r\n\r\n", Ok(204), b"");
    assert_reads(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", Ok(304), b"");
    assert_reads(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", Ok(404), b"no");

    // Far longer than what is kept, in each of the three ways.
    let long: Vec<u8> =
        (0..300_000_u32).map(|i| i.wrapping_mul(0x9e37_79b9).to_be_bytes()[0]).collect();
    let bytes = |head: &str, body: &[u8]| [head.as_bytes(), body].concat();
    assert_reads(&bytes("HTTP/1.1 200 OK\r\n\r\n", &long), Ok(200), &long);
    assert_reads(
        &bytes("HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n", &long),
        Ok(200),
        &long,
    );
    let mut chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for (number, chunk) in long.chunks(70_000).chain(long.chunks(3).take(50)).enumerate() {
        let zeros = "0".repeat(number % 5);
        chunked.extend_from_slice(format!("{zeros}{:x}\r\n", chunk.len()).as_bytes());
        chunked.extend_from_slice(chunk);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    assert_reads(&chunked, Ok(200), &[&long[..], &long[..150]].concat());
}

#[test]
fn http_get_tells_the_head() {
    let bytes = "HTTP/1.1 200 All \u{e9} Right\r\nTransfer-Encoding: chunked\r\n\r\n".as_bytes();
    let head = Response::new(bytes).head().unwrap();
    assert!(head.is_success());
    assert_eq!((head.status, head.body), (200, Body::Chunked));
    assert!(head.reason.is_ascii(), "{}", head.reason);
    for (status, success) in [(199, false), (200, true), (299, true), (300, false), (500, false)] {
        let text = format!("HTTP/1.1 {status} Word\r\nContent-Length: 7\r\n\r\n");
        let text =
            if status < 200 { text + "HTTP/1.1 500 No\r\nContent-Length: 7\r\n\r\n" } else { text };
        let head = Response::new(text.as_bytes()).head().unwrap();
        assert_eq!((head.is_success(), head.body), (success, Body::Bytes(7)), "{text}");
    }
}

#[test]
fn http_get_refuses_what_is_not_http() {
    let no = |bytes: &str, why: &str, body: &str| {
        assert_reads(bytes.as_bytes(), Err(why), body.as_bytes())
    };
    let early = |what: &str| format!("the server closed before the end of {what}");
    // Ended at each place.
    for bytes in ["", "H", "HTTP/1.1 200 OK", "HTTP/1.1 200 OK\r\nServer: x\r\n"] {
        no(bytes, &early("the head"), "");
    }
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n";
    no(&format!("{head}hello"), &early("the body"), "hello");
    no(&head.replace('6', "18446744073709551615"), &early("the body"), "");
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (bytes, what, body) in [
        ("", "a chunk's size", ""),
        ("5", "a chunk's size", ""),
        ("5\r", "a chunk's size", ""),
        ("5\r\nhel", "the body", "hel"),
        ("5\r\nhello", "a chunk", "hello"),
        ("5\r\nhello\r", "a chunk", "hello"),
        ("5\r\nhello\r\n", "a chunk's size", "hello"),
        ("5\r\nhello\r\n0\r\n", "the trailer", "hello"),
        ("0\r\nTrailer: x\r\n", "the trailer", ""),
        ("ffffffffffffffff\r\nhello", "the body", "hello"),
    ] {
        no(&format!("{head}{bytes}"), &early(what), body);
    }
    for (bytes, body) in [
        ("\r\n", ""),
        ("x\r\n", ""),
        ("-1\r\n", ""),
        ("+1\r\n", ""),
        (" 1\r\n", ""),
        ("0x5\r\nhello\r\n", ""),
        ("10000000000000000\r\n", ""),
        ("5 5\r\n", ""),
        ("5\rx", ""),
        ("1\r\nx\r\n\r\n", "x"),
    ] {
        no(&format!("{head}{bytes}"), "a chunk's size is not a number", body);
    }
    no(&format!("{head}5\r\nhello!"), "a chunk is longer than its size", "hello");
    no(&format!("{head}5\r\nhello\n"), "a chunk is longer than its size", "hello");
    no(&format!("{head}0\r\n bad\x01\r\n\r\n"), "a bad trailer: invalid header name", "");
    // Two ways to say where it ends, or none that is known.
    for (lines, why) in [
        ("Content-Length: 5\r\nContent-Length: 6", "two lengths of one body"),
        ("Content-Length: 5, 6", "two lengths of one body"),
        ("Content-Length: -5", "a bad Content-Length: -5"),
        ("Content-Length: +5", "a bad Content-Length: +5"),
        ("Content-Length: 5x", "a bad Content-Length: 5x"),
        ("Content-Length:", "a bad Content-Length: "),
        ("Content-Length: 18446744073709551616", "a bad Content-Length: 18446744073709551616"),
        ("Content-Length: \u{e9}", "a bad Content-Length: \\xc3\\xa9"),
        (
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "a Transfer-Encoding with a Content-Length, or of HTTP/1.0",
        ),
        ("Transfer-Encoding: gzip", "an unknown Transfer-Encoding: gzip"),
        ("Transfer-Encoding: gzip, chunked", "an unknown Transfer-Encoding: gzip"),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "an unknown Transfer-Encoding: chunked",
        ),
    ] {
        no(&format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), why, "");
    }
    no(
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "a Transfer-Encoding with a Content-Length, or of HTTP/1.0",
        "",
    );
    no(
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "the server switches to another protocol, unasked",
        "",
    );
    for bytes in
        ["SSH-2.0-OpenSSH\r\n", "\0\0\0\0", "HTTP/2.0 200 OK\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n"]
    {
        let (status, body) = read(bytes.as_bytes(), 3);
        let error = status.unwrap_err();
        assert!(error.starts_with("this is not HTTP: "), "{bytes:?}: {error}");
        assert!(body.is_empty());
    }
    let many = "a: b\r\n".repeat(HEADERS_MAX + 1);
    no(&format!("HTTP/1.1 200 OK\r\n{many}\r\n"), "this is not HTTP: too many headers", "");
}

/// Sends the same for ever, and counts.
struct Endless {
    start: &'static [u8],
    again: &'static [u8],
    given: usize,
}

impl Read for Endless {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        for byte in &mut *buf {
            let at = self.given;
            *byte = match self.start.get(at) {
                Some(byte) => *byte,
                None => self.again[(at - self.start.len()) % self.again.len()],
            };
            self.given += 1;
        }
        Ok(buf.len())
    }
}

#[test]
fn http_get_keeps_no_more_than_its_limit() {
    for (start, again, what) in [
        (&b"HTTP/1.1 200 "[..], &b"x"[..], "the head"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x", "the head"),
        (b"\r\n", b"\r\n", "the head"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x", "a chunk's size"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ", b"x", "the trailer"),
    ] {
        let mut from = Endless { start, again, given: 0 };
        let mut response = Response::new(&mut from);
        let error =
            response.head().and_then(|head| response.body(&head, &mut Vec::new())).unwrap_err();
        assert!(
            matches!(error, Error::TooLong { what: found } if found == what),
            "{what}: {error}"
        );
        drop(response);
        assert!(from.given <= start.len() + KEPT_MAX, "{what}: {} bytes were read", from.given);
    }
}

/// A server for one request: it reads that, and answers as `answer` does.
struct Server {
    dir: TempDir,
    requests: mpsc::Receiver<Vec<u8>>,
}

impl Server {
    fn start(answer: impl FnOnce(&UnixStream) + Send + 'static) -> Self {
        let dir = TempDir::new();
        let listener = UnixListener::bind(&dir.addr("http")).unwrap();
        let (sender, requests) = mpsc::channel();
        thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let (mut request, mut buf) = (Vec::new(), [0; 1024]);
            while !request.ends_with(b"\r\n\r\n") {
                let count = stream.read(&mut buf).unwrap();
                request.extend_from_slice(&buf[..count]);
            }
            // The test may have failed.
            let _ = sender.send(request);
            answer(&stream);
        });
        Self { dir, requests }
    }

    fn path(&self) -> String {
        self.dir.join("http").to_str().unwrap().to_string()
    }
}

fn write_all(stream: &UnixStream, mut bytes: &[u8]) -> Result<(), afunix::Errno> {
    while !bytes.is_empty() {
        bytes = &bytes[stream.write(bytes)?..];
    }
    Ok(())
}

#[test]
fn http_get_asks_and_prints_the_answer() {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\0\xff\r\n";
    // The connection stays open: the length is enough.
    let (done, stay) = mpsc::channel::<()>();
    let server = Server::start(move |stream| {
        write_all(stream, answer).unwrap();
        let _ = stay.recv_timeout(LONG);
    });
    let output = run("http_get", &[&server.path(), "/a?b=c"]);
    assert_success(&output);
    assert_eq!((&output.stdout[..], &output.stderr[..]), (&b"\0\xff\r\n"[..], &b""[..]));
    drop(done);
    let request = String::from_utf8(server.requests.recv_timeout(LONG).unwrap()).unwrap();
    let mut lines = request.lines();
    assert_eq!(lines.next(), Some("GET /a?b=c HTTP/1.1"));
    for line in ["Host: localhost", "Connection: close"] {
        assert!(lines.clone().any(|other| other == line), "{request}");
    }
}

#[test]
fn http_get_prints_other_answers_too_and_says_so() {
    for (status, word) in [(301, "Moved"), (404, "Not \u{e9}t\u{e9}"), (500, "Oh")] {
        let server = Server::start(move |stream| {
            let text = format!("HTTP/1.1 {status} {word}\r\n\r\n{{\"message\":1}}");
            write_all(stream, text.as_bytes()).unwrap();
        });
        let output = run("http_get", &[&server.path(), "/"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert_eq!(output.stdout, b"{\"message\":1}");
        assert!(said.starts_with(&format!("http_get: the server answers {status} ")), "{said}");
        assert!(said.trim_end().bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{said:?}");
    }
}

#[test]
fn http_get_prints_what_came_of_an_answer_that_broke_off() {
    let server = Server::start(|stream| {
        write_all(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999999\r\n\r\nsome").unwrap();
    });
    let output = run("http_get", &[&server.path(), "/"]);
    assert_eq!(complaint(&output), "http_get: the server closed before the end of the body\n");
    assert_eq!(output.stdout, b"some");
}

/// Each would go on for ever.
#[test]
fn http_get_ends_in_time_whatever_the_server_does() {
    type Answer = fn(&UnixStream);
    let drip: Answer = |stream| {
        // A byte at a time: each read by itself is in time.
        let _ = write_all(stream, b"HTTP/1.1 200 OK\r\nX: ");
        while stream.write(b"x").is_ok() {
            thread::sleep(Duration::from_millis(50));
        }
    };
    let hints: Answer = |stream| {
        while write_all(stream, b"HTTP/1.1 103 Early Hints\r\n\r\n").is_ok() {
            thread::sleep(Duration::from_millis(1));
        }
    };
    let body: Answer = |stream| {
        let _ = write_all(stream, b"HTTP/1.1 200 OK\r\n\r\n");
        while write_all(stream, &[b'x'; 4096]).is_ok() {
            thread::sleep(Duration::from_millis(1));
        }
    };
    let silent: Answer = |stream| {
        let _ = stream.read(&mut [0]);
    };
    for answer in [drip, hints, body, silent] {
        let server = Server::start(answer);
        let start = Instant::now();
        let output = run("http_get", &[&server.path(), "/", "--timeout", "1"]);
        assert_eq!(complaint(&output), "http_get: cannot receive: the time is over\n");
        let took = start.elapsed();
        assert!((Duration::from_millis(950)..Duration::from_secs(10)).contains(&took), "{took:?}");
    }
}

/// Nobody accepts, and the queue is full.
#[test]
fn http_get_does_not_wait_for_ever_to_be_accepted() {
    let _watchdog = Watchdog::new();
    let dir = TempDir::new();
    let _listener = UnixListener::bind_with_backlog(&dir.addr("http"), 0).unwrap();
    let _queued = UnixStream::connect(&dir.addr("http")).unwrap();
    let path = dir.join("http").to_str().unwrap().to_string();
    let output = run("http_get", &[&path, "/", "--timeout", "1"]);
    let wanted = format!("http_get: cannot connect to {path}: the time is over\n");
    assert_eq!(complaint(&output), wanted);
}

#[test]
fn http_get_says_why_it_cannot_connect() {
    let (dir, [path, name]) = names();
    let says = |addr: &str, wanted: &str| {
        assert_eq!(complaint(&run("http_get", &[addr, "/"])), format!("http_get: {wanted}\n"));
    };
    let cannot = |addr: &str, errno, hint: &str| {
        says(addr, &format!("cannot connect to {addr}: {} {hint}", words(errno)));
    };
    cannot(&path, libc::ENOENT, "(has the server been started?)");
    cannot(&name, libc::ECONNREFUSED, "(nobody listens there)");
    drop(UnixListener::bind(&parse(&path)).unwrap());
    cannot(&path, libc::ECONNREFUSED, "(nobody listens there)");
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, b"").unwrap();
    cannot(&path, libc::ECONNREFUSED, "(this is not a socket)");
    let datagram = dir.join("datagram").to_str().unwrap().to_string();
    let _datagram = UnixDatagram::bind(&parse(&datagram)).unwrap();
    cannot(&datagram, libc::EPROTOTYPE, "(this is a socket of another type)");
    let long = format!("/{}", "p".repeat(108));
    says(&long, &format!("bad address {long}: path is 109 bytes, the limit is 108"));
    says("x", "bad address x: text begins with byte 0x78, wanted 0x2f `/` or 0x40 `@`");
}

#[test]
fn http_get_says_that_it_is_not_allowed() {
    use std::os::unix::fs::PermissionsExt;
    let set_mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let (dir, [path, _]) = names();
    set_mode(dir.path(), 0o755);
    let _listener = UnixListener::bind(&parse(&path)).unwrap();
    set_mode(Path::new(&path), 0o600);
    if !crate::common::is_root() {
        return skip("only root can become nobody");
    }
    // Nobody may not look into the folder of the build: the program is started by who may.
    let program = dir.join("http_get");
    std::fs::copy(file("http_get"), &program).unwrap();
    set_mode(&program, 0o755);
    let mut command = crate::common::emulated::program(&program);
    use std::os::unix::process::CommandExt;
    command.args([&path, "/"]).uid(crate::common::Nobody::UID).gid(crate::common::Nobody::UID);
    let said = complaint(&crate::common::run(&mut command));
    let hint = "(the file and each folder above must allow it, the file to write)";
    let wanted = format!("http_get: cannot connect to {path}: {} {hint}\n", words(libc::EACCES));
    assert_eq!(said, wanted);
}

#[test]
fn http_get_says_what_is_wrong_with_its_arguments() {
    let says = |args: &[&str], wanted: &str| {
        let said = complaint(&run("http_get", args));
        assert_eq!(said.lines().next(), Some(&*format!("http_get: {wanted}")), "{args:?}");
    };
    let usage = "usage: http_get ADDRESS TARGET [--timeout SECONDS]";
    says(&[], usage);
    says(&["/x"], usage);
    for target in ["x", "", "/a b", "/a\r\nX: y", "/\u{e9}"] {
        let shown = target.as_bytes().escape_ascii();
        says(
            &["/x", target],
            &format!("bad target {shown}: it begins with `/` and has no blanks, `%20` is one"),
        );
    }
    for number in ["0", "-1", "many", "1000001"] {
        says(&["/x", "/", "--timeout", number], "--timeout wants a number from 1 to 1000000");
    }
    says(&["/x", "/", "--timeout"], "--timeout wants a number from 1 to 1000000");
    says(&["/x", "/", "--fast"], "unknown option --fast");
    assert_eq!(lines(&run("http_get", &["--help"]))[0], usage);
}

/// Nobody reads what it prints.
#[test]
fn http_get_says_that_it_cannot_print() {
    let server = Server::start(|stream| {
        let _ = write_all(stream, b"HTTP/1.1 200 OK\r\n\r\n");
        let _ = write_all(stream, &[b'x'; 1_000_000]);
    });
    let mut command = example("http_get");
    command.args([&server.path(), "/"]);
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    command.stdin(std::process::Stdio::null()).stdout(writer).stderr(std::process::Stdio::piped());
    let output = finish(spawn(&mut command).unwrap());
    let wanted = format!("http_get: cannot print: {}\n", words(libc::EPIPE));
    assert_eq!(complaint(&output), wanted);
}
