//! `sasl_external` with a bus of its own, and with servers that are none.

// Made to be taken along, and so they are here.
#[path = "../../examples/sasl_external/address.rs"]
mod address;
#[path = "../../examples/sasl_external/message.rs"]
mod message;
#[path = "../../examples/sasl_external/sasl.rs"]
mod sasl;

use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use afunix::{SUN_PATH_LEN, UnixAddr, UnixListener, UnixStream};

use self::address::Server;
use self::message::{ERROR, Endian, MESSAGE_MAX, METHOD_CALL, METHOD_RETURN, hello, parse};
use self::sasl::{Connection, Error, LINE_MAX, Session};
use crate::common::{LONG, Nobody, TempDir, Watchdog, is_root, passes_in_child, skip};
use crate::program::{Running, build_examples, complaint, example, lines, names, run, words};

const GUID: &str = "0123456789abcdef0123456789ABCDEF";
/// The user `daemon`: dbus-daemon runs as none who has no name.
const UID: u32 = 1;

/// This process's effective ids.
fn ids() -> (u32, u32) {
    (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
}

// --- Addresses -------------------------------------------------------------------------------------

#[test]
fn sasl_external_reads_addresses() {
    let path = |path: &str| UnixAddr::from_pathname(path.as_bytes()).unwrap();
    let name = |name: &[u8]| UnixAddr::from_abstract_name(name).unwrap();
    let plain = |addr| Ok(Server { addr, guid: None });
    let reads = |text: &str, wanted: &[Result<Server, String>]| {
        let runtime = Some(&b"/run/user/1"[..]);
        assert_eq!(address::parse(text.as_bytes(), runtime).as_deref(), Ok(wanted), "{text}");
    };
    reads("unix:path=/run/bus", &[plain(path("/run/bus"))]);
    reads("unix:path=/a%20b%2c%3B%c3%A4", &[plain(path("/a b,;\u{e4}"))]);
    reads("unix:path=/-_/.\\*,", &[plain(path("/-_/.\\*"))]);
    reads("unix:abstract=/tmp/dbus-x%ff%01", &[plain(name(b"/tmp/dbus-x\xff\x01"))]);
    reads("unix:runtime=yes", &[plain(path("/run/user/1/bus"))]);
    let guid = Some(GUID.as_bytes().to_vec());
    let server = Ok(Server { addr: path("/x"), guid });
    reads(&format!("unix:guid={GUID},path=/x"), std::slice::from_ref(&server));
    reads(&format!("unix:path=/x,guid={GUID},more=1;"), &[server]);
    let other = |text: &str, why: &str| Err(format!("{text}: {why}"));
    let tcp = "tcp:host=localhost,port=1";
    let other_kind = "this program connects to `unix:` alone";
    reads(
        &format!("{tcp};unix:path=/x;;autolaunch:;unix:abstract=y;"),
        &[
            other(tcp, other_kind),
            plain(path("/x")),
            other("autolaunch:", other_kind),
            plain(name(b"y")),
        ],
    );
    let chooses = "this is where a server chooses a name";
    reads("unix:tmpdir=/tmp", &[other("unix:tmpdir=/tmp", chooses)]);
    reads("unix:dir=/tmp", &[other("unix:dir=/tmp", chooses)]);
    let long = format!("unix:path=/{}", "x".repeat(SUN_PATH_LEN));
    let too_long = "path is 109 bytes, the limit is 108";
    reads(&format!("{long};unix:path=/x"), &[other(&long, too_long), plain(path("/x"))]);
    let long = format!("unix:abstract={}", "x".repeat(SUN_PATH_LEN));
    reads(&long, &[other(&long, "abstract name is 108 bytes, the limit is 107")]);
    let without = address::parse(b"unix:runtime=yes", None);
    let none = other("unix:runtime=yes", "there is no XDG_RUNTIME_DIR");
    assert_eq!(without, Ok(vec![none]));
}

#[test]
fn sasl_external_refuses_what_is_no_address() {
    let no = |text: &[u8], why: &str| {
        let shown = text.escape_ascii().to_string();
        assert_eq!(address::parse(text, None), Err(why.to_string()), "{shown}");
    };
    no(b"", "it is empty");
    no(b";;", "it is empty");
    no(b"/run/bus", "/run/bus has no method");
    no(b"unix:path=/x;/run/bus", "/run/bus has no method");
    no(b"unix:path", "in unix:path, path has no value");
    no(b"unix:path=", "in unix:path=, path= lacks a key or a value");
    no(b"unix:=/x", "in unix:=/x, =/x lacks a key or a value");
    no(b"unix:path=/x,path=/y", "in unix:path=/x,path=/y, path=/y is there twice");
    for text in ["unix:", "unix:path=/x,abstract=x", "unix:runtime=no", "unix:guid=1"] {
        no(text.as_bytes(), &format!("{text} wants either a path or an abstract name"));
    }
    let digits = "has a `%` without two hexadecimal digits";
    for value in ["%", "/x%2", "%g0", "%0g", "%%20", "%+1", "% 1"] {
        let text = format!("unix:path={value}");
        no(text.as_bytes(), &format!("in {text}, path={value} {digits}"));
    }
    for value in [&b"/a b"[..], b"/a\xe4", b"/\0", b"/a=b", b"/\n", b"/@", b"/(", b"/~"] {
        let text = [b"unix:path=", value].concat();
        let (shown, value) = (text.escape_ascii(), value.escape_ascii());
        no(&text, &format!("in {shown}, path={value} has a byte that must be written with `%`"));
    }
    for key in ["path", "abstract"] {
        let text = format!("unix:{key}=/x%00y");
        no(text.as_bytes(), &format!("in {text}, {key}=/x%00y has a NUL in it"));
    }
}

// --- Messages --------------------------------------------------------------------------------------

/// What a bus sends: with fields of all kinds, in the order of bytes that is wanted.
struct Sample {
    endian: Endian,
    kind: u8,
    fields: Vec<u8>,
    body: Vec<u8>,
}

impl Sample {
    fn new(endian: Endian, kind: u8) -> Self {
        Self { endian, kind, fields: Vec::new(), body: Vec::new() }
    }

    fn number(&self, number: usize) -> [u8; 4] {
        let number = u32::try_from(number).unwrap();
        if self.endian == Endian::Big { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    /// A field whose value is written already.
    fn raw(mut self, code: u8, kind: &str, value: &[u8]) -> Self {
        self.fields.resize(self.fields.len().next_multiple_of(8), 0);
        self.fields.extend_from_slice(&[code, kind.len() as u8]);
        self.fields.extend_from_slice(kind.as_bytes());
        self.fields.push(0);
        self.fields.extend_from_slice(value);
        self
    }

    fn string(self, code: u8, value: &str) -> Self {
        let value = [&self.number(value.len()), value.as_bytes(), b"\0"].concat();
        self.raw(code, "s", &value)
    }

    fn reply_to(self, serial: usize) -> Self {
        let value = self.number(serial);
        self.raw(5, "u", &value)
    }

    /// A body of one text.
    fn text(mut self, text: &str) -> Self {
        self.body = [&self.number(text.len()), text.as_bytes(), b"\0"].concat();
        self.raw(8, "g", b"\x01s\0")
    }

    fn bytes(&self) -> Vec<u8> {
        let order = if self.endian == Endian::Big { b'B' } else { b'l' };
        let mut bytes = vec![order, self.kind, 1, 1];
        bytes.extend_from_slice(&self.number(self.body.len()));
        bytes.extend_from_slice(&self.number(77));
        bytes.extend_from_slice(&self.number(self.fields.len()));
        bytes.extend_from_slice(&self.fields);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// The answer to the call with the serial 1.
fn welcome(endian: Endian) -> Vec<u8> {
    Sample::new(endian, METHOD_RETURN)
        .string(6, ":1.42")
        .reply_to(1)
        .text(":1.42")
        .string(7, "org.freedesktop.DBus")
        .bytes()
}

#[test]
fn sasl_external_writes_hello() {
    // As libdbus writes it, byte for byte.
    let field = |endian, code: u8, kind: u8, value: &str| {
        let len = value.len() as u32;
        let len = if endian == Endian::Big { len.to_be_bytes() } else { len.to_le_bytes() };
        let mut bytes = [&[code, 1, kind, 0], &len[..], value.as_bytes(), b"\0"].concat();
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    };
    for (endian, start, len) in [
        (Endian::Little, &b"l\x01\0\x01\0\0\0\0\x07\0\0\0"[..], [0x6e, 0, 0, 0]),
        (Endian::Big, b"B\x01\0\x01\0\0\0\0\0\0\0\x07", [0, 0, 0, 0x6e]),
    ] {
        let wanted = [
            start,
            &len,
            &field(endian, 1, b'o', "/org/freedesktop/DBus"),
            &field(endian, 6, b's', "org.freedesktop.DBus"),
            &field(endian, 2, b's', "org.freedesktop.DBus"),
            &field(endian, 3, b's', "Hello"),
        ]
        .concat();
        let hello = hello(endian, 7);
        assert_eq!(hello.escape_ascii().to_string(), wanted.escape_ascii().to_string());
        // And it is a message to the one who reads them.
        let (size, message) = parse(&hello).unwrap().unwrap();
        let message = message.unwrap();
        assert_eq!((size, message.kind, message.reply_serial), (hello.len(), METHOD_CALL, None));
        assert_eq!(message.text(), Ok(None));
    }
}

#[test]
fn sasl_external_reads_messages() {
    for endian in [Endian::Little, Endian::Big] {
        let bytes = [welcome(endian), b"the next".to_vec()].concat();
        let size = welcome(endian).len();
        for end in 0..=bytes.len() {
            let read = parse(&bytes[..end]).unwrap();
            // The first bytes tell the size; and the message is there as soon as it is whole.
            assert_eq!(read.as_ref().map(|read| read.0), (end >= 16).then_some(size));
            let message = read.and_then(|read| read.1);
            assert_eq!(message.is_some(), end >= size);
            if let Some(message) = message {
                assert_eq!((message.kind, message.reply_serial), (METHOD_RETURN, Some(1)));
                assert_eq!(message.text(), Ok(Some(":1.42".to_string())));
                assert_eq!(message.error_name, None);
            }
        }
        // Unknown fields are passed over, whatever is in them.
        let bytes = Sample::new(endian, ERROR)
            .raw(9, "u", &[1, 2, 3, 4])
            .raw(200, "y", &[1])
            .raw(201, "g", b"\x02ss\0")
            .raw(202, "o", &[0, 0, 0, 0, 0])
            .string(4, "org.example.No")
            .reply_to(3)
            .text("")
            .bytes();
        let message = parse(&bytes).unwrap().unwrap().1.unwrap();
        assert_eq!((message.kind, message.reply_serial), (ERROR, Some(3)));
        assert_eq!(message.error_name.as_deref(), Some("org.example.No"));
        assert_eq!(message.text(), Ok(Some(String::new())));
    }
}

#[test]
fn sasl_external_refuses_what_is_no_message() {
    for endian in [Endian::Little, Endian::Big] {
        let no = |bytes: &[u8], why: &str| {
            let shown = bytes.escape_ascii().to_string();
            assert_eq!(parse(bytes).err().as_deref(), Some(why), "{shown}");
        };
        let good = welcome(endian);
        let with = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            bytes
        };
        no(&with(0, b'L'), "0x4c tells no order of bytes");
        no(&with(1, 0), "a message of no kind");
        no(&with(3, 2), "a message of version 2");
        let no_field = "a field of a header is not one";
        let number = |number: u32| Sample::new(endian, 1).number(number as usize);
        for (code, kind, value) in [
            (0, "u", &number(1)[..]),
            (5, "i", &number(1)),
            (5, "s", &[0, 0, 0, 0, 0]),
            (8, "s", &[0, 0, 0, 0, 0]),
            (4, "o", &[0, 0, 0, 0, 0]),
            (99, "as", &[0, 0, 0, 0]),
            (99, "v", &[0, 0, 0, 0]),
            (99, "", &[0, 0, 0, 0]),
            // Cut off, without an end, with an end inside, no text, far too long.
            (99, "u", &[0, 0]),
            (99, "s", &number(1)),
            (99, "s", &[&number(1)[..], b"xy"].concat()),
            (99, "s", &[&number(2)[..], b"\0y\0"].concat()),
            (99, "s", &[&number(1)[..], b"\xff\0"].concat()),
            (99, "s", &[&number(u32::MAX)[..], b"x\0"].concat()),
            (99, "g", b"\x05s\0"),
            (99, "g", b"\x01ss"),
        ] {
            no(&Sample::new(endian, 2).raw(code, kind, value).bytes(), no_field);
        }
        // Whatever a byte is changed to, or left out, it is read to its end or refused.
        for at in 0..good.len() {
            for byte in 0..=255 {
                let bytes = with(at, byte);
                if let Ok(Some((size, Some(message)))) = parse(&bytes) {
                    assert!(size <= bytes.len());
                    let _ = message.text();
                }
            }
            let mut short = good.clone();
            short.remove(at);
            let _ = parse(&short);
        }
        // How long it would be is known before it is there.
        let mut long = Sample::new(endian, 2).bytes();
        long[4..8].copy_from_slice(&number(MESSAGE_MAX as u32 - 16));
        assert_eq!(parse(&long), Ok(Some((MESSAGE_MAX, None))));
        for size in [MESSAGE_MAX as u32 - 15, MESSAGE_MAX as u32 + 1, u32::MAX] {
            for at in [4, 12] {
                let mut long = Sample::new(endian, 2).bytes();
                long[at..at + 4].copy_from_slice(&number(size));
                let (size, message) = parse(&long).unwrap().unwrap();
                assert!(size > MESSAGE_MAX && message.is_none());
            }
        }
    }
}

// --- Servers that are none -------------------------------------------------------------------------

/// What a client is to hear, and how much at a time; and what it has said.
struct Said<'a> {
    hears: &'a [u8],
    size: usize,
    says: Vec<u8>,
}

impl Read for Said<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.size.min(buf.len()).min(self.hears.len());
        let (now, rest) = self.hears.split_at(count);
        buf[..count].copy_from_slice(now);
        self.hears = rest;
        Ok(count)
    }
}

impl Write for Said<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.says.extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What comes of it, and what was said, which are the same whatever the pieces are.
fn hears(bytes: &[u8]) -> (Result<Session, String>, String) {
    let hear = |size| {
        let mut said = Said { hears: bytes, size, says: Vec::new() };
        let session = Connection::new(&mut said).authenticate(1000);
        (session.map_err(|error| error.to_string()), said.says.escape_ascii().to_string())
    };
    let whole = hear(usize::MAX);
    for size in [1, 2, 3, 7, 1000] {
        assert_eq!(hear(size), whole);
    }
    whole
}

#[test]
fn sasl_external_keeps_to_the_lines() {
    let session = |fds| Ok(Session { guid: GUID.to_string(), fds });
    let auth = "\\x00AUTH EXTERNAL 31303030\\r\\n";
    let negotiate = format!("{auth}NEGOTIATE_UNIX_FD\\r\\n");
    let begin = format!("{negotiate}BEGIN\\r\\n");
    let ok = format!("OK {GUID}\r\n");
    for (answer, fds) in [
        ("AGREE_UNIX_FD\r\n", true),
        ("AGREE_UNIX_FD \r\nmore", true),
        ("ERROR\r\n", false),
        ("ERROR \"not here\"\r\n", false),
    ] {
        assert_eq!(hears(format!("{ok}{answer}").as_bytes()), (session(fds), begin.clone()));
    }
    let no = |answer: &str, why: &str, says: &str| {
        let wanted = (Err(why.to_string()), says.to_string());
        assert_eq!(hears(answer.as_bytes()), wanted, "{answer}");
    };
    let answer = |line: &str| format!("this is not D-Bus: \"{line}\" answers AUTH");
    for line in [
        "",
        "OK",
        "OK 123",
        "OKAY",
        "ok 0123456789abcdef0123456789abcdef",
        "OK 0123456789abcdef0123456789abcdeg",
        "OK 0123456789abcdef0123456789abcdef0",
        "OK 0123456789abcdef0123456789abcdef ",
        "DATA",
        "DATA 00",
        "AGREE_UNIX_FD",
        "HTTP/1.1 400 Bad Request",
        " REJECTED",
    ] {
        no(&format!("{line}\r\n"), &answer(line), auth);
    }
    no("REJECTED\r\n", "the server rejects this user", auth);
    let list = "the server rejects this user; it knows EXTERNAL ANONYMOUS";
    no("REJECTED EXTERNAL ANONYMOUS\r\n", list, auth);
    no("ERROR go away\r\n", "the server answers by an error: go away", auth);
    let word = "this is not D-Bus: \"REJECTED\" answers NEGOTIATE_UNIX_FD";
    no(&format!("{ok}REJECTED\r\n"), word, &negotiate);
    // Closed at each place.
    let early = "the server closed before it answered AUTH";
    for end in 0..ok.len() {
        no(&ok[..end], early, auth);
    }
    let early = "the server closed before it answered NEGOTIATE_UNIX_FD";
    for end in 0.."AGREE_UNIX_FD\r\n".len() {
        no(&format!("{ok}{}", &"AGREE_UNIX_FD\r\n"[..end]), early, &negotiate);
    }
    no(&format!("OK {GUID}\n"), "the server closed before it answered AUTH", auth);
    for line in ["REJECTED \x1b[2J", "OK\t", "ERROR \u{e4}", "ERROR \n", "ERROR \0"] {
        no(&format!("{line}\r\n"), "this is not D-Bus: a line is not text", auth);
    }
    // As long as it may be, and longer; with an end, and with none.
    let line = |len: usize| format!("ERROR {}", "x".repeat(len - 8));
    let longest = format!("the server answers by an error: {}", "x".repeat(LINE_MAX - 8));
    no(&format!("{}\r\n", line(LINE_MAX)), &longest, auth);
    let long = "the server sends a line that is too long";
    no(&format!("{}\r\n", line(LINE_MAX + 1)), long, auth);
    no(&"x".repeat(1_000_000), long, auth);
}

/// Runs the example with a server that does this with its one client, and closes.
fn with_server(act: impl FnOnce(&UnixStream) + Send, options: &[&str]) -> (String, Output) {
    build_examples();
    let _watchdog = Watchdog::new();
    let (_dir, [path, _]) = names();
    let addr = UnixAddr::parse(path.as_bytes()).unwrap();
    let listener = UnixListener::bind(&addr).unwrap();
    listener.set_accept_timeout(Some(LONG / 2)).unwrap();
    let output = thread::scope(|scope| {
        scope.spawn(|| {
            let (stream, _) = listener.accept().unwrap();
            act(&stream);
        });
        let address = format!("unix:path={path}");
        run("sasl_external", &[&[address.as_str()], options].concat())
    });
    (path, output)
}

/// Waits for what the client is to say.
#[track_caller]
fn expect(stream: &UnixStream, wanted: &[u8]) {
    let (mut got, mut buf) = (Vec::new(), [0; 256]);
    while got.len() < wanted.len() {
        let room = buf.len().min(wanted.len() - got.len());
        let count = stream.read(&mut buf[..room]).unwrap();
        assert!(count > 0, "only {}", got.escape_ascii());
        got.extend_from_slice(&buf[..count]);
    }
    assert_eq!(got.escape_ascii().to_string(), wanted.escape_ascii().to_string());
}

/// Goes through the lines as a server.
fn admit(stream: &UnixStream) {
    let hex: String = ids().0.to_string().bytes().map(|digit| format!("{digit:x}")).collect();
    expect(stream, format!("\0AUTH EXTERNAL {hex}\r\n").as_bytes());
    stream.write(format!("OK {GUID}\r\n").as_bytes()).unwrap();
    expect(stream, b"NEGOTIATE_UNIX_FD\r\n");
    stream.write(b"ERROR\r\n").unwrap();
    expect(stream, b"BEGIN\r\n");
    expect(stream, &hello(Endian::NATIVE, 1));
}

#[test]
fn sasl_external_takes_an_answer_of_either_order() {
    let (pid, (uid, gid)) = (std::process::id(), ids());
    if uid == 65_534 {
        return skip("this user may be anybody");
    }
    for endian in [Endian::Little, Endian::Big] {
        let (path, output) = with_server(
            |stream| {
                admit(stream);
                // What is for others, or of another kind, is read past.
                let signal = Sample::new(endian, 4).string(3, "NameAcquired").text(":1.42");
                let other = Sample::new(endian, METHOD_RETURN).reply_to(2).text("another's");
                stream.write(&[signal.bytes(), other.bytes()].concat()).unwrap();
                for byte in welcome(endian) {
                    stream.write(&[byte]).unwrap();
                }
            },
            &[],
        );
        let wanted = [
            format!("connected to {path}: pid {pid}, euid {uid}, egid {gid}"),
            format!("guid {GUID}"),
            "descriptors may not be sent".to_string(),
            "unique name :1.42".to_string(),
        ];
        assert_eq!(lines(&output), wanted);
    }
}

#[test]
fn sasl_external_tells_what_is_wrong_with_a_bus() {
    let says = |act: &(dyn Fn(&UnixStream) + Sync), wanted: &str| {
        let (_, output) = with_server(act, &[]);
        assert_eq!(complaint(&output), format!("sasl_external: {wanted}\n"));
    };
    let native = Endian::NATIVE;
    let answers = |bytes: &[u8], wanted: &str| {
        says(
            &|stream| {
                admit(stream);
                // It need not be there to the end.
                let _ = stream.write(bytes);
            },
            wanted,
        );
    };
    answers(b"", "the server closed before it answered");
    answers(&welcome(native)[..30], "the server closed before it answered");
    let refusal = Sample::new(native, ERROR)
        .string(4, "org.freedesktop.DBus.Error.LimitsExceeded")
        .reply_to(1)
        .text("no more\n");
    let wanted = "the bus refuses: org.freedesktop.DBus.Error.LimitsExceeded: no more\\n";
    answers(&refusal.bytes(), wanted);
    answers(&Sample::new(native, ERROR).reply_to(1).bytes(), "the bus refuses: : ");
    answers(&Sample::new(native, 4).reply_to(1).bytes(), "an answer of the kind 4");
    answers(b"GET / HTTP/1.1\r\n\r\n", "this is not D-Bus: 0x47 tells no order of bytes");
    let others = Sample::new(native, 4).text("signal").bytes().repeat(200);
    answers(&others, "100 messages, and no answer among them");
    let mut long = Sample::new(native, 2).bytes();
    long[4..8].copy_from_slice(&(MESSAGE_MAX as u32).to_ne_bytes());
    answers(&long, "the server sends a message that is too long");
}

#[test]
fn sasl_external_waits_no_longer_than_it_is_told() {
    let silent = |stream: &UnixStream| while stream.read(&mut [0; 64]) != Ok(0) {};
    // A byte at a time, each of which is in time.
    let slow = |stream: &UnixStream| {
        while stream.write(b"x").is_ok() {
            thread::sleep(Duration::from_millis(50));
        }
    };
    let late = |stream: &UnixStream| {
        admit(stream);
        silent(stream);
    };
    let acts: [&(dyn Fn(&UnixStream) + Sync); 3] = [&silent, &slow, &late];
    for act in acts {
        let start = Instant::now();
        let (_, output) = with_server(act, &["--timeout", "1"]);
        let said = complaint(&output);
        assert!(said.ends_with("cannot receive: the time is over\n"), "{said}");
        assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
        assert!(start.elapsed() < LONG / 4, "{:?}", start.elapsed());
    }
    // A queue that is full, where connecting waits.
    let (_dir, [path, _]) = names();
    let addr = UnixAddr::parse(path.as_bytes()).unwrap();
    let _listener = UnixListener::bind_with_backlog(&addr, 0).unwrap();
    let _first = UnixStream::connect(&addr).unwrap();
    let output = run("sasl_external", &[&format!("unix:path={path}"), "--timeout", "1"]);
    let wanted = format!("no bus to be had\n  {path}: cannot connect: the time is over\n");
    assert_eq!(complaint(&output), format!("sasl_external: {wanted}"));
}

#[test]
fn sasl_external_tries_one_after_the_other() {
    let (dir, [path, name]) = names();
    let name = name.trim_start_matches('@');
    let missing = dir.join("missing");
    let missing = missing.to_str().unwrap();
    let text = format!("unix:path={missing};tcp:host=x;unix:abstract={name};unix:tmpdir=/tmp");
    let wanted = format!(
        "sasl_external: no bus to be had
  {missing}: cannot connect: {}
  tcp:host=x: this program connects to `unix:` alone
  @{name}: cannot connect: {}
  unix:tmpdir=/tmp: this is where a server chooses a name
",
        words(libc::ENOENT),
        words(libc::ECONNREFUSED)
    );
    assert_eq!(complaint(&run("sasl_external", &[&text])), wanted);

    // One that rejects, and one that is another than is meant; then one that is right.
    let servers: Vec<_> = ["one", "two", "three"]
        .iter()
        .map(|name| (UnixListener::bind(&dir.addr(name)).unwrap(), dir.join(name)))
        .collect();
    let at = |index: usize| servers[index].1.to_str().unwrap();
    let guid = GUID.replace('0', "1");
    let text = format!(
        "unix:path={};unix:path={},guid={guid};unix:path={},guid={}",
        at(0),
        at(1),
        at(2),
        GUID.to_lowercase()
    );
    build_examples();
    let _watchdog = Watchdog::new();
    let output = thread::scope(|scope| {
        for (index, (listener, _)) in servers.iter().enumerate() {
            scope.spawn(move || {
                listener.set_accept_timeout(Some(LONG / 2)).unwrap();
                let (stream, _) = listener.accept().unwrap();
                let mut buf = [0; 256];
                stream.read(&mut buf).unwrap();
                if index == 0 {
                    stream.write(b"REJECTED MAGIC\r\n").unwrap();
                    return;
                }
                stream.write(format!("OK {GUID}\r\nAGREE_UNIX_FD\r\n").as_bytes()).unwrap();
                // The one that is not meant may be alone by now.
                let sent = stream.write(&welcome(Endian::NATIVE));
                assert!(index == 1 || sent.is_ok());
                // Until it has gone.
                while stream.read(&mut buf).is_ok_and(|count| count > 0) {}
            });
        }
        run("sasl_external", &[&text])
    });
    let seen = lines(&output);
    assert!(seen[0].starts_with(&format!("connected to {}: ", at(2))), "{seen:?}");
    assert_eq!(
        seen[1..],
        [&format!("guid {GUID}"), "descriptors may be sent", "unique name :1.42"]
    );
    drop(path);
}

/// Before a word is said: what listens at a name may be anybody.
#[test]
fn sasl_external_says_nothing_to_another_user() {
    if !is_root() {
        return skip("only root can listen as somebody else");
    }
    build_examples();
    passes_in_child("sasl_external::sasl_external_says_nothing_to_another_user", || {
        let _watchdog = Watchdog::new();
        let (_dir, [_, name]) = names();
        let addr = UnixAddr::parse(name.as_bytes()).unwrap();
        let listener = {
            let _nobody = Nobody::new();
            UnixListener::bind(&addr).unwrap()
        };
        let bare = name.trim_start_matches('@');
        let output = run("sasl_external", &[&format!("unix:abstract={bare}")]);
        let said = complaint(&output);
        let (pid, nobody) = (std::process::id(), Nobody::UID);
        let wanted = format!(
            "sasl_external: no bus to be had\n  {name}: it is another's: \
             wanted uid 0, found pid {pid}, uid {nobody}, gid {nobody}\n"
        );
        assert_eq!(said, wanted);
        let (stream, _) = listener.accept().unwrap();
        assert_eq!(stream.read(&mut [0; 16]), Ok(0));
    });
}

// --- A bus -----------------------------------------------------------------------------------------

/// A bus at this address, and what it calls that itself; or why there is none.
fn bus(address: &str, prepare: impl FnOnce(&mut Command)) -> Option<(Running, String)> {
    match Command::new("dbus-daemon").arg("--version").stdout(Stdio::null()).status() {
        Ok(status) if status.success() => {}
        _ => {
            skip("this takes dbus-daemon");
            return None;
        }
    }
    let mut command = Command::new("dbus-daemon");
    command.args(["--session", "--nofork", "--nopidfile", "--print-address"]);
    command.arg(format!("--address={address}"));
    prepare(&mut command);
    let bus = Running::spawn(command);
    let address = bus.line();
    Some((bus, address))
}

/// A text as D-Bus has it in an address.
fn escaped(path: &Path) -> String {
    let one = |byte: &u8| match byte {
        byte if byte.is_ascii_alphanumeric() || b"-_/.".contains(byte) => {
            char::from(*byte).to_string()
        }
        byte => format!("%{byte:02x}"),
    };
    path.as_os_str().as_bytes().iter().map(one).collect()
}

#[test]
fn sasl_external_says_hello_to_a_real_bus() {
    let (uid, gid) = ids();
    if uid == 65_534 {
        return skip("this user may be anybody");
    }
    let (dir, [path, name]) = names();
    let odd = dir.join("a bus, for \u{e4}%;");
    let odd_name = format!("{} x", name.trim_start_matches('@'));
    for address in [
        format!("unix:path={path}"),
        format!("unix:path={}", escaped(&odd)),
        format!("unix:abstract={}", name.trim_start_matches('@')),
        format!("unix:abstract={}", escaped(Path::new(&odd_name))),
    ] {
        let Some((daemon, printed)) = bus(&address, |_| {}) else { return };
        let guid = printed.rsplit_once("guid=").unwrap().1.to_string();
        let pid = daemon.id();
        // As it was asked for, as the daemon tells it, and as the last of a list.
        let list = format!("unix:path={path}.none;autolaunch:;{printed}");
        for (count, text) in [&address, &printed, &list].into_iter().enumerate() {
            let seen = lines(&run("sasl_external", &[text, "--timeout", "10"]));
            assert!(seen[0].starts_with("connected to "), "{seen:?}");
            let who = format!(": pid {pid}, euid {uid}, egid {gid}");
            assert!(seen[0].ends_with(&who), "{seen:?}");
            let rest = [
                format!("guid {guid}"),
                "descriptors may be sent".to_string(),
                format!("unique name :1.{count}"),
            ];
            assert_eq!(seen[1..], rest);
        }
        // Where the environment has it.
        let mut command = example("sasl_external");
        command.env("DBUS_SESSION_BUS_ADDRESS", &printed);
        let seen = lines(&crate::common::run(&mut command));
        assert_eq!(seen.last().map(String::as_str), Some("unique name :1.3"));
        // The address of another.
        let other = printed.replace(&guid, GUID);
        let said = complaint(&run("sasl_external", &[&other]));
        let wanted = format!("it is another server than is meant: its guid is {guid}\n");
        assert!(said.ends_with(&wanted), "{said}");
        drop(daemon);
    }
}

/// A stream for the parts by themselves.
struct Plain(UnixStream);

impl Read for Plain {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf).map_err(|errno| io::Error::from_raw_os_error(errno.raw_os_error()))
    }
}

impl Write for Plain {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf).map_err(|errno| io::Error::from_raw_os_error(errno.raw_os_error()))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn sasl_external_is_understood_by_a_real_bus_in_either_order() {
    build_examples();
    let _watchdog = Watchdog::new();
    let (_dir, [path, _]) = names();
    let Some((_daemon, _)) = bus(&format!("unix:path={path}"), |_| {}) else { return };
    let addr = UnixAddr::parse(path.as_bytes()).unwrap();
    let connect = || Connection::new(Plain(UnixStream::connect(&addr).unwrap()));
    for (endian, name) in [(Endian::Little, ":1.0"), (Endian::Big, ":1.1")] {
        let mut connection = connect();
        assert!(connection.authenticate(ids().0).unwrap().fds);
        connection.send(&hello(endian, 0x0102_0304)).unwrap();
        let answer = loop {
            let message = connection.message().unwrap();
            if message.reply_serial == Some(0x0102_0304) {
                break message;
            }
        };
        assert_eq!(answer.kind, METHOD_RETURN);
        assert_eq!(answer.text(), Ok(Some(name.to_string())));
        // A second one is an error.
        connection.send(&hello(endian, 9)).unwrap();
        let answer = loop {
            let message = connection.message().unwrap();
            if message.reply_serial == Some(9) {
                break message;
            }
        };
        let failed = Some("org.freedesktop.DBus.Error.Failed");
        assert_eq!((answer.kind, answer.error_name.as_deref()), (ERROR, failed));
        assert!(answer.text().unwrap().unwrap().contains("Hello"));
    }
    // As somebody else it does not take this process.
    match connect().authenticate(ids().0 + 1) {
        Err(Error::Rejected { mechanisms }) => assert!(mechanisms.contains("EXTERNAL")),
        other => panic!("{other:?}"),
    }
}

/// A bus of another user, at a path where this one's should be.
#[test]
fn sasl_external_does_not_trust_another_users_bus() {
    if !is_root() {
        return skip("only root can start others as somebody else");
    }
    let dir = TempDir::new();
    std::os::unix::fs::chown(dir.path(), Some(UID), Some(UID)).unwrap();
    let path = dir.join("bus");
    let path = path.to_str().unwrap();
    let as_other = |command: &mut Command| {
        command.uid(UID).gid(UID).current_dir("/");
    };
    let Some((daemon, printed)) = bus(&format!("unix:path={path}"), as_other) else { return };
    let pid = daemon.id();
    let wanted = format!(
        "sasl_external: no bus to be had\n  {path}: it is another's: \
         wanted uid 0, found pid {pid}, uid {UID}, gid {UID}\n"
    );
    assert_eq!(complaint(&run("sasl_external", &[&printed])), wanted);
}

#[test]
fn sasl_external_says_what_is_wrong() {
    let says = |args: &[&str], wanted: &str| {
        let mut command = example("sasl_external");
        command.args(args).env_remove("DBUS_SESSION_BUS_ADDRESS").env_remove("XDG_RUNTIME_DIR");
        let message = complaint(&crate::common::run(&mut command));
        let first = message.lines().next().unwrap_or_default();
        assert_eq!(first, format!("sasl_external: {wanted}"), "{args:?}");
    };
    says(&[], "there is no DBUS_SESSION_BUS_ADDRESS");
    says(&["a", "b"], "usage: sasl_external [ADDRESS] [--timeout SECONDS]");
    says(&["--fast"], "unknown option --fast");
    for value in ["0", "-1", "1.5", "soon"] {
        says(&["x", "--timeout", value], "--timeout wants a number from 1 to 1000000");
    }
    says(&["/run/bus"], "bad address /run/bus: /run/bus has no method");
    says(&["unix:runtime=yes"], "no bus to be had");
}
