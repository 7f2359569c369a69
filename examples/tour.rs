//! A tour: the three types of socket, the four kinds of address, a descriptor that is passed and a
//! sender who is checked, between two processes.
//!
//! ```text
//! cargo run --example tour
//! ```
//!
//! For each stop this program, as the server, starts itself once more as the client. Each side
//! prints what it sees: the server first, the client, whose output is collected, after it.

use std::ffi::OsStr;
use std::fmt::Display;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::{self, Command, ExitCode, Stdio};
use std::time::Duration;
use std::{env, fs, io, thread};

use afunix::{
    AddrKind, AncillaryBuf, AsFd, Errno, IoSliceMut, Received, RecvError, RecvOptions, SendError,
    Shutdown, Space, UnixAddr, UnixDatagram, UnixListener, UnixSeqpacket, UnixSeqpacketListener,
    UnixStream,
};

fn main() -> ExitCode {
    thread::spawn(deadline);
    let args: Vec<_> = env::args_os().skip(1).collect();
    let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
    let result = match args.as_slice() {
        [] => server(),
        [b"stream", server] => address(server).and_then(|at| stream_client(&at)),
        [b"datagram", server] => address(server).and_then(|at| datagram_client(&at)),
        [b"seqpacket", server] => address(server).and_then(|at| seqpacket_client(&at)),
        [b"descriptor", server] => address(server).and_then(|at| descriptor_client(&at)),
        _ => Err("usage: tour".to_string()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("tour: {message}");
            ExitCode::FAILURE
        }
    }
}

/// The server's own folder for socket files, which it removes with all that is in it.
fn dir() -> PathBuf {
    env::temp_dir().join(format!("afunix-tour-{}", process::id()))
}

/// Where one side fails, the other may wait for it: not for ever.
fn deadline() {
    thread::sleep(Duration::from_secs(10));
    // First, and without a panic: nothing may keep this thread from the end.
    let _ = fs::remove_dir_all(dir());
    let _ = writeln!(io::stderr(), "tour: still not through after 10 seconds");
    process::exit(1);
}

fn server() -> Result<(), String> {
    fs::create_dir(dir()).map_err(|error| format!("cannot make {}: {error}", dir().display()))?;
    let _folder = Folder;
    tour()
}

/// Removes the folder in the end, also when a stop fails.
struct Folder;

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(dir()) {
            eprintln!("tour: cannot remove {}: {error}", dir().display());
        }
    }
}

fn tour() -> Result<(), String> {
    say("1. A stream at a pathname: bytes without bounds; the client is unnamed.")?;
    let path = dir().join("server");
    let at = address(path.as_os_str().as_bytes())?;
    let listener = UnixListener::bind(&at).map_err(cannot("listen"))?;
    visit("stream", &path, |_| stream_server(&listener))?;

    say("2. Datagrams at an abstract name: from anybody, whole or cut, answered where named.")?;
    let at = address(format!("@afunix-tour-{}", process::id()).as_bytes())?;
    let socket = UnixDatagram::bind(&at).map_err(cannot("bind"))?;
    visit("datagram", at.to_text().as_str(), |_| datagram_server(&socket))?;

    say("3. Seqpacket at an autobound name: a connection that keeps messages apart.")?;
    let (listener, at) = UnixSeqpacketListener::autobind().map_err(cannot("listen"))?;
    visit("seqpacket", at.to_text().as_str(), |_| seqpacket_server(&listener))?;

    say(
        "4. A descriptor in a datagram, from a sender who is checked: a socket that only one made.",
    )?;
    let socket = UnixDatagram::unbound().map_err(cannot("make a socket"))?;
    // Before it has a name: what came earlier would come without.
    socket.set_passcred(true).map_err(cannot("ask for credentials"))?;
    let at = address(format!("@afunix-tour-inbox-{}", process::id()).as_bytes())?;
    socket.bind_to(&at).map_err(cannot("bind"))?;
    visit("descriptor", at.to_text().as_str(), |client| descriptor_server(&socket, client))
}

/// Starts the client, does the server's part, which is told the client's process, and prints what the
/// client had to say.
fn visit(
    kind: &str,
    server: impl AsRef<OsStr>,
    serve: impl FnOnce(u32) -> Result<(), String>,
) -> Result<(), String> {
    let mut client = env::current_exe()
        .map(Command::new)
        .and_then(|mut this| this.arg(kind).arg(server).stdout(Stdio::piped()).spawn())
        .map_err(|error| format!("cannot start the client: {error}"))?;
    let (server_pid, client_pid) = (process::id(), client.id());
    let pids = format!("   server is process {server_pid}, client is process {client_pid}");
    let served = say(pids).and_then(|()| serve(client_pid));
    if served.is_err() {
        // Without its server it may wait until its deadline.
        let _ = client.kill();
    }
    let output = client.wait_with_output().map_err(|error| format!("lost the client: {error}"))?;
    served?;
    io::stdout().write_all(&output.stdout).map_err(|error| format!("cannot print: {error}"))?;
    if output.status.success() { Ok(()) } else { Err(format!("the client: {}", output.status)) }
}

fn stream_server(listener: &UnixListener) -> Result<(), String> {
    let (stream, from) = listener.accept().map_err(cannot("accept"))?;
    print_names("server", listener.local_addr(), Ok(from))?;
    say(format_args!("   server: read {:?}", read_to_end(&stream)?))?;
    // So few bytes go at once; `echo_server` shows what to do with more.
    stream.write(b"thank you").map_err(cannot("write"))?;
    Ok(())
}

fn stream_client(server: &UnixAddr) -> Result<(), String> {
    let stream = UnixStream::connect(server).map_err(cannot("connect"))?;
    print_names("client", stream.local_addr(), stream.peer_addr())?;
    for piece in ["two ", "writes"] {
        stream.write(piece.as_bytes()).map_err(cannot("write"))?;
        say(format_args!("   client: wrote {piece:?}"))?;
    }
    // Lets the server read to the end, and still answer.
    stream.shutdown(Shutdown::Write).map_err(cannot("shut down"))?;
    say(format_args!("   client: read {:?}", read_to_end(&stream)?))
}

fn datagram_server(socket: &UnixDatagram) -> Result<(), String> {
    let local = socket.local_addr().map_err(cannot("get the local address"))?;
    say(format_args!("   server: local address {}", show(&local)))?;
    for _ in 0..3 {
        let mut buf = [0; 8];
        let (received, from) = socket.recv_from(&mut buf).map_err(cannot("receive"))?;
        say(format_args!("   server: from {}: {}", show(&from), message(received, &buf)))?;
        if from.is_unnamed() {
            say("   server: no answer, for want of a name")?;
        } else {
            socket.send_to(b"got it", &from).map_err(cannot("answer"))?;
        }
    }
    Ok(())
}

fn datagram_client(server: &UnixAddr) -> Result<(), String> {
    let (socket, local) = UnixDatagram::autobind().map_err(cannot("get a name"))?;
    say(format_args!("   client: local address {}, autobound", show(&local)))?;
    for text in ["short", "much too long"] {
        socket.send_to(text.as_bytes(), server).map_err(cannot("send"))?;
        say(format_args!("   client: sent {text:?}"))?;
        let mut buf = [0; 8];
        let (received, from) = socket.recv_from(&mut buf).map_err(cannot("receive"))?;
        say(format_args!("   client: from {}: {}", show(&from), message(received, &buf)))?;
    }
    let unnamed = UnixDatagram::unbound().map_err(cannot("make a socket"))?;
    unnamed.send_to(b"who?", server).map_err(cannot("send"))?;
    say("   client: sent \"who?\" from another socket, which is unnamed")
}

fn seqpacket_server(listener: &UnixSeqpacketListener) -> Result<(), String> {
    let (socket, from) = listener.accept().map_err(cannot("accept"))?;
    print_names("server", listener.local_addr(), Ok(from))?;
    for _ in 0..3 {
        let mut buf = [0; 8];
        let received = socket.recv(&mut buf).map_err(cannot("receive"))?;
        say(format_args!("   server: received {}", message(received, &buf)))?;
    }
    socket.send(b"all three").map_err(cannot("send"))?;
    Ok(())
}

fn seqpacket_client(server: &UnixAddr) -> Result<(), String> {
    let own = address(format!("@afunix-tour-client-{}", process::id()).as_bytes())?;
    let socket = UnixSeqpacket::connect_from_to(&own, server).map_err(cannot("connect"))?;
    print_names("client", socket.local_addr(), socket.peer_addr())?;
    for text in ["one", "two", "three, too long"] {
        socket.send(text.as_bytes()).map_err(cannot("send"))?;
        say(format_args!("   client: sent {text:?}"))?;
    }
    let mut buf = [0; 16];
    let received = socket.recv(&mut buf).map_err(cannot("receive"))?;
    say(format_args!("   client: received {}", message(received, &buf)))
}

fn descriptor_server(socket: &UnixDatagram, client: u32) -> Result<(), String> {
    const SPACE: usize = Space::new().credentials().rights::<1>().bytes();
    let (mut buf, mut control) = ([0; 16], AncillaryBuf::<SPACE>::new());
    let (received, mut ancillary) = socket
        .recv_with(&mut [IoSliceMut::new(&mut buf)], &mut control, RecvOptions::new())
        .map_err(|error| match error {
            RecvError::Kernel(errno) => cannot("receive")(errno),
            lost => lost.to_string(),
        })?;
    say(format_args!("   server: received {}", message(received, &buf)))?;
    let sender = ancillary.credentials().ok_or("nobody says who sent it")?;
    say(format_args!("   server: sent by {sender}"))?;
    // Anybody can send to an abstract name. What they pass is closed, unused, with `ancillary`.
    if sender.pid.map(|pid| pid.as_raw_pid().unsigned_abs()) != Some(client) {
        return Err(format!("{sender} is not the client"));
    }
    let fd = ancillary.take_fds().next().ok_or("no descriptor came")?;
    // It may be anything: this asks the kernel whether it is a stream.
    let stream = UnixStream::try_from(fd).map_err(|refused| cannot("use it")(refused.errno()))?;
    say("   server: that is the client, and what it passed is a stream")?;
    stream.write(b"through your own socket").map_err(cannot("write"))?;
    Ok(())
}

fn descriptor_client(server: &UnixAddr) -> Result<(), String> {
    let (mine, passed) = UnixStream::pair().map_err(cannot("make a pair"))?;
    let socket = UnixDatagram::unbound().map_err(cannot("make a socket"))?;
    socket.connect(server).map_err(cannot("connect"))?;
    socket.send_fds(b"use this", &[passed.as_fd()]).map_err(|error| match error {
        SendError::Kernel(errno) => cannot("pass a socket")(errno),
        wrong => wrong.to_string(),
    })?;
    // The server's is another, of the same socket: the end comes when that is closed too.
    drop(passed);
    say("   client: passed one end of a pair, and closed it here")?;
    say(format_args!("   client: read {:?}", read_to_end(&mine)?))
}

fn read_to_end(stream: &UnixStream) -> Result<String, String> {
    let (mut all, mut buf) = (Vec::new(), [0; 64]);
    loop {
        match stream.read(&mut buf).map_err(cannot("read"))? {
            0 => return Ok(String::from_utf8_lossy(&all).into_owned()),
            count => all.extend_from_slice(&buf[..count]),
        }
    }
}

fn print_names(
    side: &str,
    local: Result<UnixAddr, Errno>,
    peer: Result<UnixAddr, Errno>,
) -> Result<(), String> {
    let local = local.map_err(cannot("get the local address"))?;
    let peer = peer.map_err(cannot("get the peer's address"))?;
    say(format_args!("   {side}: local address {}", show(&local)))?;
    say(format_args!("   {side}: peer address {}", show(&peer)))
}

fn message(received: Received, buf: &[u8]) -> String {
    let text = String::from_utf8_lossy(&buf[..received.bytes]);
    let cut = if received.is_truncated() { ", the rest is lost" } else { "" };
    format!("{text:?}, {} of {} bytes{cut}", received.bytes, received.size)
}

fn show(addr: &UnixAddr) -> String {
    match addr.kind() {
        AddrKind::Pathname(_) => format!("{addr} (pathname)"),
        AddrKind::Abstract(_) => format!("{addr} (abstract)"),
        AddrKind::Unnamed => addr.to_string(),
    }
}

fn address(text: &[u8]) -> Result<UnixAddr, String> {
    UnixAddr::parse(text).map_err(|error| format!("bad address {}: {error}", text.escape_ascii()))
}

/// Prints a line. Where nobody takes it, as behind `| head -1`, that is an error and no panic.
fn say(line: impl Display) -> Result<(), String> {
    writeln!(io::stdout(), "{line}").map_err(|error| format!("cannot print: {error}"))
}

/// Says what failed and why in words: without `std` an `Errno` knows its number only.
fn cannot(what: impl Display) -> impl FnOnce(Errno) -> String {
    move |errno| format!("cannot {what}: {}", io::Error::from_raw_os_error(errno.raw_os_error()))
}
