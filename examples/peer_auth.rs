//! A server for its own user and the members of some groups; and a client that sends a secret to its own
//! user's server, or to root's, and to no other.
//!
//! ```text
//! cargo run --example peer_auth -- /tmp/auth.sock --group adm --group 1000
//! echo secret | cargo run --example peer_auth -- /tmp/auth.sock --send
//! echo secret | cargo run --example peer_auth -- /run/root.sock --send --root
//! ```
//!
//! It shows who is at the other end, as the kernel attests it, and what follows from that:
//!
//! - User and groups decide. They are those of when the connection was made; what the client says
//!   counts nothing, and nothing is read from one that is not welcome.
//! - What cannot be learned is not assumed: where the kernel does not tell the supplementary groups, the
//!   effective one counts alone.
//! - A process is known by its pidfd. What is looked up by the number is of that process only if this has
//!   not ended by then; and it is for the log, as a program calls itself what it likes.
//! - The client is not to trust a name, that anybody may have bound: it looks who listens there first.
//!
//! A server that was started with its socket (by systemd, say) shows as who listened: root.
//!
//! It ends after `--clients` clients, or at SIGINT or SIGTERM.

use std::ffi::{CString, OsString};
use std::fmt::Display;
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{env, fs, ptr};

use afunix::{
    AsFd, BorrowedFd, Errno, FromRawFd, Gid, OwnedFd, Peer, PeerCredentials, PeerError, SocketFile,
    SocketFileError, UnixAddr, UnixSeqpacket, UnixSeqpacketListener,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

const USAGE: &str = "usage: peer_auth ADDRESS [--group NAME_OR_NUMBER]... [--clients N]
       peer_auth ADDRESS --send [--root]
ADDRESS is /path or @name; what is sent is read from standard input";

/// How long one side waits for the other.
const PATIENCE: Duration = Duration::from_secs(5);
/// For how long nobody is accepted when there is no descriptor for it.
const PAUSE: Duration = Duration::from_millis(100);
/// The most bytes that a secret may have, and an answer.
const MESSAGE_MAX: usize = 1024;
/// What the server says to those that it serves, before they say anything.
const WELCOME: &[u8] = b"welcome";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("peer_auth: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    if env::args_os().skip(1).any(|arg| arg == "--help" || arg == "-h") {
        say(USAGE);
        return Ok(());
    }
    match arguments()? {
        (addr, Mode::Serve { groups, clients }) => serve(addr, &groups, clients),
        (addr, Mode::Send { root }) => send(&addr, root),
    }
}

// --- The server ------------------------------------------------------------------------------------

fn serve(addr: UnixAddr, groups: &[Gid], clients: Option<usize>) -> Result<(), String> {
    let signals = signals().map_err(|error| format!("cannot wait for signals: {error}"))?;
    let (listener, _file) = listen(&addr, if groups.is_empty() { 0o600 } else { 0o666 })?;
    listener.set_nonblocking(true).map_err(cannot("become non-blocking"))?;
    say(format_args!("listening on {addr}"));

    let mut count = 0;
    while clients.is_none_or(|limit| count < limit) {
        match wait(&signals, Some(listener.as_fd()), None)? {
            Event::Signal => {
                say("interrupted");
                break;
            }
            Event::Ready | Event::Timeout => {}
        }
        let (client, found) = match listener.accept_peer() {
            Ok((client, _, found)) => (client, found),
            Err(PeerError::Accept(Errno::AGAIN | Errno::INTR)) => continue,
            Err(PeerError::Accept(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS)) => {
                // It would be reported again and again.
                if let Event::Signal = wait(&signals, None, Some(PAUSE))? {
                    say("interrupted");
                    break;
                }
                continue;
            }
            // A server that cannot learn who its clients are has none.
            Err(error) => return Err(cannot("learn who a client is")(error.into())),
        };
        count += 1;
        match admit(&client, found, groups) {
            Ok(why) => {
                say(format_args!("client {count}: {}: served, {why}", identity(&client, found)));
                match receive(&client, &signals) {
                    Ok(Some(bytes)) => say(format_args!("client {count}: {bytes} bytes received")),
                    Ok(None) => say(format_args!("client {count}: it sent nothing")),
                    Err(message) => say(format_args!("client {count}: {message}")),
                }
            }
            Err(refusal) => {
                say(format_args!(
                    "client {count}: {}: refused, {refusal}",
                    identity(&client, found)
                ));
                // It is for people, and tells them nothing that they do not know. One that does not take
                // it has none.
                let _ = client.send(format!("refused: {refusal}").as_bytes());
            }
        }
    }
    Ok(())
}

/// Decides, and tells by what, or what was wanted and what was found.
fn admit(
    client: &UnixSeqpacket,
    found: PeerCredentials,
    groups: &[Gid],
) -> Result<&'static str, String> {
    let Err(refused) = found.require_same_user() else { return Ok("the same user") };
    let mut wanted = refused.wanted.to_string();
    let mut unknown = "";
    if !groups.is_empty() {
        let mut room = vec![Gid::ROOT; 64];
        let others = match supplementary(client, &mut room) {
            Ok(others) => others,
            Err(PeerError::Unsupported(_)) => {
                unknown = "; this kernel does not tell its other groups";
                &[]
            }
            Err(error) => return Err(cannot("learn its groups")(error.into())),
        };
        for group in groups {
            match found.require_group(*group, others) {
                Ok(()) => return Ok("a member of a group"),
                Err(refused) => wanted += &format!(" or {}", refused.wanted),
            }
        }
    }
    Err(format!("wanted {wanted}, found {found}{unknown}"))
}

/// The supplementary groups, of which there may be some thousands.
fn supplementary<'a>(
    client: &UnixSeqpacket,
    room: &'a mut Vec<Gid>,
) -> Result<&'a [Gid], PeerError> {
    if let Err(PeerError::TooSmall { needed, .. }) = client.peer_groups(room) {
        // They are of when the connection was made, so their number stays.
        room.resize(needed, Gid::ROOT);
    }
    client.peer_groups(room)
}

/// Who it is, for the log.
fn identity(client: &UnixSeqpacket, found: PeerCredentials) -> String {
    match client.peer() {
        Ok(peer) => match program(&peer) {
            Some(name) => format!("{found}, program {name}"),
            None => format!("{found}, which has ended or is out of sight"),
        },
        // Without it the number may be another's by now, so that it is not looked up.
        Err(PeerError::Unsupported(_)) => format!("{found}, program unknown without a pidfd"),
        Err(error) => format!("{found}, program unknown ({})", words(error.into())),
    }
}

/// The name of the peer's program, if it can be had and is certain to be that of the peer.
fn program(peer: &Peer) -> Option<String> {
    let pid = peer.credentials.pid?;
    let name = fs::read(format!("/proc/{}/comm", pid.as_raw_pid())).ok()?;
    // First the look, then this: if the process has not ended by now, the number was its own all the
    // time. A pidfd is readable when its process has ended.
    let mut fds = [PollFd::new(&peer.pidfd, PollFlags::IN)];
    match poll(&mut fds, Some(&Timespec::default())) {
        Ok(0) => Some(name.trim_ascii_end().escape_ascii().to_string()),
        _ => None,
    }
}

/// Takes one message from a client that may be slow, or say nothing, and tells how long it was.
fn receive(client: &UnixSeqpacket, signals: &OwnedFd) -> Result<Option<usize>, String> {
    client.set_nonblocking(true).map_err(cannot("become non-blocking"))?;
    client.send(WELCOME).map_err(cannot("greet"))?;
    let end = Instant::now() + PATIENCE;
    let mut buf = [0; MESSAGE_MAX];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match wait(signals, Some(client.as_fd()), Some(left))? {
            // It is still there for the loop that accepts.
            Event::Signal => return Err("it was not waited for".to_string()),
            Event::Timeout => return Err("it says nothing".to_string()),
            Event::Ready => {}
        }
        match client.recv(&mut buf) {
            Ok(received) if received.is_truncated() => {
                return Err(format!("{} bytes are too much", received.size));
            }
            Ok(received) if received.size == 0 => return Ok(None),
            Ok(received) => {
                // Here a server would do its work.
                let answer = format!("received {} bytes", received.size);
                client.send(answer.as_bytes()).map_err(cannot("answer"))?;
                return Ok(Some(received.size));
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(Errno::CONNRESET) => return Err("it has left without reading".to_string()),
            Err(errno) => return Err(cannot("receive")(errno)),
        }
    }
}

enum Event {
    /// SIGINT or SIGTERM has come.
    Signal,
    Ready,
    Timeout,
}

/// Waits for a signal, for `fd`, and no longer than `limit`.
fn wait(
    signals: &OwnedFd,
    fd: Option<BorrowedFd<'_>>,
    limit: Option<Duration>,
) -> Result<Event, String> {
    // At most `PATIENCE`, so it fits.
    let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
    let mut fds = vec![PollFd::new(signals, PollFlags::IN)];
    fds.extend(fd.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
    match poll(&mut fds, limit.as_ref()) {
        Ok(0) => Ok(Event::Timeout),
        Ok(_) if !fds[0].revents().is_empty() => Ok(Event::Signal),
        // Whoever asked tries again, and comes back.
        Ok(_) | Err(Errno::INTR) => Ok(Event::Ready),
        Err(errno) => Err(cannot("wait")(errno)),
    }
}

// --- The client ------------------------------------------------------------------------------------

fn send(addr: &UnixAddr, root: bool) -> Result<(), String> {
    // Before the server begins to wait for it; one byte more tells that it is too long.
    let mut secret = Vec::new();
    let input = io::stdin().take(MESSAGE_MAX as u64 + 1).read_to_end(&mut secret);
    input.map_err(|error| format!("cannot read standard input: {error}"))?;
    let secret = secret.trim_ascii_end();
    if secret.is_empty() || secret.len() > MESSAGE_MAX {
        return Err(format!("wanted 1 to {MESSAGE_MAX} bytes on standard input"));
    }

    let server = UnixSeqpacket::unbound().map_err(cannot("make a socket"))?;
    // Connecting waits while the queue of the listener is full, as writing does.
    server.set_write_timeout(Some(PATIENCE)).map_err(cannot("set a time limit"))?;
    server.set_read_timeout(Some(PATIENCE)).map_err(cannot("set a time limit"))?;
    server.connect_to(addr).map_err(cannot(format_args!("connect to {addr}")))?;
    let found = server.peer_credentials();
    let found = found.map_err(|error| cannot("learn who the server is")(error.into()))?;
    let checked = if root { found.require_root() } else { found.require_same_user() };
    checked.map_err(|refused| format!("{addr} is another's: {refused}; nothing was sent"))?;

    let mut buf = [0; MESSAGE_MAX];
    let greeting = answer(&server, &mut buf)?;
    if greeting != WELCOME {
        return Err(format!("the server says: {}", greeting.escape_ascii()));
    }
    server.send(secret).map_err(cannot("send"))?;
    let answer = answer(&server, &mut buf)?;
    say(format_args!("the server, {found}, says: {}", answer.escape_ascii()));
    Ok(())
}

fn answer<'b>(server: &UnixSeqpacket, buf: &'b mut [u8]) -> Result<&'b [u8], String> {
    loop {
        match server.recv(buf) {
            Ok(received) if received.size == 0 => return Err("the server has left".to_string()),
            Ok(received) => return Ok(&buf[..received.bytes]),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Err("the server does not answer".to_string()),
            Err(errno) => return Err(cannot("receive")(errno)),
        }
    }
}

// --- The command line, and the system --------------------------------------------------------------

enum Mode {
    Serve { groups: Vec<Gid>, clients: Option<usize> },
    Send { root: bool },
}

fn arguments() -> Result<(UnixAddr, Mode), String> {
    let mut args = env::args_os().skip(1);
    let text = args.next().ok_or(USAGE)?;
    let addr = UnixAddr::parse(text.as_bytes())
        .map_err(|error| format!("bad address {}: {error}", text.as_bytes().escape_ascii()))?;
    let (mut groups, mut clients, mut send, mut root) = (Vec::new(), None, false, false);
    while let Some(option) = args.next() {
        match option.to_str() {
            Some("--group") => groups.push(group(args.next())?),
            Some("--clients") => clients = Some(number("--clients", args.next())?),
            Some("--send") => send = true,
            Some("--root") => root = true,
            _ => {
                let option = option.as_bytes().escape_ascii();
                return Err(format!("unknown option {option}\n{USAGE}"));
            }
        }
    }
    match (send, root) {
        (false, false) => Ok((addr, Mode::Serve { groups, clients })),
        (true, root) if groups.is_empty() && clients.is_none() => Ok((addr, Mode::Send { root })),
        _ => Err(USAGE.to_string()),
    }
}

fn number(option: &str, value: Option<OsString>) -> Result<usize, String> {
    value
        .and_then(|value| value.to_str()?.parse().ok())
        .filter(|number| (1..=1_000_000).contains(number))
        .ok_or_else(|| format!("{option} wants a number from 1 to 1000000"))
}

/// A group by its name, or by its number.
fn group(value: Option<OsString>) -> Result<Gid, String> {
    let value = value.ok_or("--group wants a group")?;
    let shown = value.as_bytes().escape_ascii();
    let gid = match value.to_str().and_then(|text| text.parse().ok()) {
        Some(gid) => Some(gid),
        None => CString::new(value.as_bytes()).ok().and_then(|name| {
            // SAFETY: a string that ends; and no other thread could make what comes another group
            // before it is read.
            unsafe { libc::getgrnam(name.as_ptr()).as_ref() }.map(|group| group.gr_gid)
        }),
    };
    match gid {
        None => Err(format!("there is no group {shown}")),
        Some(65534 | u32::MAX) => Err(format!("anybody may seem to be in the group {shown}")),
        Some(gid) => Ok(Gid::from_raw(gid)),
    }
}

/// What an errno means: without `std` it knows its number only.
fn words(errno: Errno) -> io::Error {
    io::Error::from_raw_os_error(errno.raw_os_error())
}

fn cannot(what: impl Display) -> impl FnOnce(Errno) -> String {
    move |errno| format!("cannot {what}: {}", words(errno))
}

/// Prints a line; a server goes on even if nobody reads what it prints.
fn say(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Listens; the file of a path goes when the server ends, unless another stands there by then. What one
/// that was killed left is reclaimed. All may connect to an abstract name; it is the server that decides.
fn listen(
    addr: &UnixAddr,
    mode: u32,
) -> Result<(UnixSeqpacketListener, Option<SocketFile>), String> {
    let Some(path) = addr.as_pathname() else {
        let listener =
            UnixSeqpacketListener::bind(addr).map_err(cannot(format_args!("listen on {addr}")))?;
        return Ok((listener, None));
    };
    let options = SocketFile::options(path).mode(mode).reclaim().remove_on_drop();
    match options.seqpacket_listener() {
        Ok((listener, file)) => Ok((listener, Some(file))),
        Err(SocketFileError::Kernel { errno, .. }) => {
            Err(cannot(format_args!("listen on {addr}"))(errno))
        }
        Err(error) => Err(format!("cannot listen on {addr}: {error}")),
    }
}

/// A descriptor that is readable when SIGINT or SIGTERM has come, which end nothing by themselves any
/// more.
fn signals() -> io::Result<OwnedFd> {
    let mut signals = MaybeUninit::uninit();
    // SAFETY: `sigemptyset` fills the set before anything reads it, and the pointers are good for
    // the time of the calls.
    let fd = unsafe {
        libc::sigemptyset(signals.as_mut_ptr());
        libc::sigaddset(signals.as_mut_ptr(), libc::SIGINT);
        libc::sigaddset(signals.as_mut_ptr(), libc::SIGTERM);
        libc::sigprocmask(libc::SIG_BLOCK, signals.as_ptr(), ptr::null_mut());
        libc::signalfd(-1, signals.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is new, so nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
