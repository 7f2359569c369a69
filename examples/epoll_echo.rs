//! `echo_server` for thousands of clients, in one thread, by epoll; and with the
//! descriptors that come along.
//!
//! ```text
//! cargo run --example epoll_echo -- /tmp/echo.sock
//! cargo run --example epoll_echo -- @echo --connections 2
//! ```
//!
//! It shows what a loop around non-blocking sockets has to get right:
//!
//! - A client that sends and does not read keeps nobody waiting and has no more than [`BUF`] bytes and
//!   [`FDS_MAX`] descriptors kept for it. While these wait for room in its queue it is not read from.
//! - A write that takes only a part, and where descriptors go then.
//! - Without a free descriptor no client can be accepted, and the listener would be reported again
//!   and again. It is left out until a client has gone, or a while has passed; those who connect
//!   wait in its queue meanwhile.
//! - The end: a client that has shut down its sending side still gets its answer.
//!
//! Descriptors that were sent and that nobody has received yet count for the user who sent them. If
//! there are more of these than `RLIMIT_NOFILE`, this server cannot send any (`ETOOMANYREFS`) and
//! ends the client they are for; one that collects descriptors without reading can bring that about.
//! A server that is to withstand that does not send back what it does not know.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt::Display;
use std::io::Write;
use std::mem::{self, MaybeUninit};
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{env, io, ptr};

use afunix::{
    Errno, Fds, FromRawFd, OwnedFd, RecvError, SocketFile, SocketFileError, UnixAddr, UnixListener,
    UnixStream,
};
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

const USAGE: &str = "usage: epoll_echo ADDRESS [--connections N]
ADDRESS is /path or @name";

/// How many bytes are kept for a client.
const BUF: usize = 4096;
/// How many descriptors are kept for a client; it may not send more at once.
const FDS_MAX: usize = 16;
/// For how long nobody is accepted when there is no descriptor for it, unless a client leaves.
const PAUSE: Duration = Duration::from_millis(100);

// Who an event is for. Clients have the numbers from 1, none of which comes twice: so an event cannot
// be taken for that of a client who has the descriptor number of one that left.
const LISTENER: u64 = 0;
const SIGNALS: u64 = u64::MAX;

// Level-triggered: what was not done at once is reported again.
//
// The end of what a client sends is readable as well, and a read tells; RDHUP wakes even where only
// that is left. It is not among what is waited for while writing: it stays true, and would be reported
// over and over until there is room. HUP and ERR need not be asked for: the next call says why.
const TO_READ: EventFlags = EventFlags::IN.union(EventFlags::RDHUP);
const TO_WRITE: EventFlags = EventFlags::OUT;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("epoll_echo: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    if env::args_os().skip(1).any(|arg| arg == "--help" || arg == "-h") {
        say(USAGE);
        return Ok(());
    }
    let (addr, connections) = arguments()?;
    let signals = signals().map_err(|error| format!("cannot wait for signals: {error}"))?;
    let (listener, _file) = listen(&addr)?;
    let mut server = Server::new(listener, connections).map_err(cannot("start"))?;
    epoll::add(&server.epoll, &signals, EventData::new_u64(SIGNALS), EventFlags::IN)
        .map_err(cannot("wait for signals"))?;
    say(format_args!("listening on {addr}"));

    let mut room = [const { MaybeUninit::uninit() }; 256];
    while !server.is_done() {
        let events = match epoll::wait(&server.epoll, &mut room, server.timeout().as_ref()) {
            Ok((events, _)) => events,
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(cannot("wait for events")(errno)),
        };
        for event in events {
            match event.data.u64() {
                SIGNALS => {
                    say("interrupted");
                    return Ok(());
                }
                LISTENER => server.accept()?,
                number => server.serve(number),
            }
        }
        server.end_pause()?;
    }
    Ok(())
}

struct Server {
    epoll: OwnedFd,
    listener: UnixListener,
    clients: HashMap<u64, Box<Client>>,
    /// How many clients there were.
    count: u64,
    limit: Option<NonZeroU64>,
    /// Until when nobody is accepted, for lack of descriptors.
    pause: Option<Instant>,
    /// That has been said.
    told: bool,
}

impl Server {
    fn new(listener: UnixListener, limit: Option<NonZeroU64>) -> Result<Self, Errno> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        listener.set_nonblocking(true)?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        let clients = HashMap::new();
        Ok(Self { epoll, listener, clients, count: 0, limit, pause: None, told: false })
    }

    fn is_full(&self) -> bool {
        self.limit.is_some_and(|limit| self.count >= limit.get())
    }

    fn is_done(&self) -> bool {
        self.is_full() && self.clients.is_empty()
    }

    /// Accepts all who wait: each needs a descriptor, so there is an end to it.
    fn accept(&mut self) -> Result<(), String> {
        while !self.is_full() {
            match self.listener.accept() {
                Ok((stream, _)) => self.admit(stream),
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS) => {
                    if !self.told {
                        say(format_args!("no descriptor left: {} clients", self.clients.len()));
                    }
                    self.told = true;
                    self.pause = Some(Instant::now() + PAUSE);
                    return self.listen_for(EventFlags::empty());
                }
                Err(errno) => return Err(cannot("accept")(errno)),
            }
        }
        self.listen_for(EventFlags::empty())
    }

    /// A client that cannot be watched is dropped; the others are served.
    fn admit(&mut self, stream: UnixStream) {
        self.count += 1;
        self.told = false;
        let number = self.count;
        let watched = stream
            .set_nonblocking(true)
            .and_then(|()| epoll::add(&self.epoll, &stream, EventData::new_u64(number), TO_READ));
        match watched {
            Ok(()) => drop(self.clients.insert(number, Box::new(Client::new(stream)))),
            Err(errno) => say(format_args!("client {number}: {}", cannot("serve")(errno))),
        }
    }

    /// Does for a client what can be done without waiting.
    fn serve(&mut self, number: u64) {
        let Some(client) = self.clients.get_mut(&number) else { return };
        let next = client.go_on().and_then(|next| match next {
            Some(flags) if flags != client.flags => {
                client.flags = flags;
                epoll::modify(&self.epoll, &client.stream, EventData::new_u64(number), flags)
                    .map_err(cannot("go on"))
                    .map(|()| next)
            }
            next => Ok(next),
        });
        match next {
            Ok(Some(_)) => return,
            Ok(None) => {}
            // A client that goes away early is no trouble of the server's.
            Err(message) => say(format_args!("client {number}: {message}")),
        }
        // Closing the only descriptor of a socket ends that it is watched.
        self.clients.remove(&number);
        // There may be a descriptor for another.
        self.pause = self.pause.map(|_| Instant::now());
    }

    fn listen_for(&self, flags: EventFlags) -> Result<(), String> {
        epoll::modify(&self.epoll, &self.listener, EventData::new_u64(LISTENER), flags)
            .map_err(cannot("go on listening"))
    }

    /// How long to wait for events; `None` is for ever.
    fn timeout(&self) -> Option<Timespec> {
        let left = self.pause?.saturating_duration_since(Instant::now());
        // At most a pause, so it fits.
        Timespec::try_from(left).ok()
    }

    /// Listens again if there is hope: a client has left, or the time is over, as other processes may
    /// have closed descriptors (`ENFILE`), or the limit may have been raised.
    fn end_pause(&mut self) -> Result<(), String> {
        match self.pause {
            Some(until) if until <= Instant::now() => {
                self.pause = None;
                self.listen_for(EventFlags::IN)
            }
            _ => Ok(()),
        }
    }
}

struct Client {
    stream: UnixStream,
    /// What epoll was told to wait for.
    flags: EventFlags,
    buf: [u8; BUF],
    /// What of `buf` is still to be sent back.
    waiting: Range<usize>,
    /// What is still to be sent back with the last byte of that.
    fds: Fds<FDS_MAX>,
}

impl Client {
    fn new(stream: UnixStream) -> Self {
        Self { stream, flags: TO_READ, buf: [0; BUF], waiting: 0..0, fds: Fds::new() }
    }

    /// Sends back what waits, or else what there is to be read, once: then it is the others' turn.
    /// Tells what to wait for next, or nothing at the end.
    fn go_on(&mut self) -> Result<Option<EventFlags>, String> {
        if self.waiting.is_empty() {
            let received = match self.stream.recv_fds_into(&mut self.buf, &mut self.fds) {
                Ok(received) => received,
                Err(RecvError::Kernel(Errno::AGAIN | Errno::INTR)) => return Ok(Some(TO_READ)),
                Err(RecvError::Kernel(errno)) => return Err(cannot("receive")(errno)),
                // Bytes without their descriptors would be another message.
                Err(error) => return Err(error.to_string()),
            };
            if received.bytes == 0 {
                return Ok(None);
            }
            if self.fds.surplus() > 0 {
                return Err(format!("more than {FDS_MAX} descriptors at once"));
            }
            self.waiting = 0..received.bytes;
        }
        let sent = self.send().map_err(cannot("send"))?;
        Ok(Some(if sent { TO_READ } else { TO_WRITE }))
    }

    /// Sends what waits; false if there is no room for all of it.
    ///
    /// Descriptors go with the first byte of a send, so that after a short one the rest goes without.
    /// And they belong with the last byte of the receive that gave them: bytes before it may be of
    /// earlier sends. So all but that byte goes first.
    fn send(&mut self) -> Result<bool, Errno> {
        while !self.waiting.is_empty() {
            let bytes = &self.buf[self.waiting.clone()];
            let sent = match bytes.split_last() {
                Some((_, before)) if !self.fds.is_empty() && !before.is_empty() => {
                    self.stream.write(before)
                }
                _ if self.fds.is_empty() => self.stream.write(bytes),
                _ => {
                    let fds: Vec<_> = self.fds.iter().collect();
                    self.stream.send_fds(bytes, &fds).map(|sent| sent.bytes).map_err(Errno::from)
                }
            };
            match sent {
                Ok(count) => self.waiting.start += count,
                Err(Errno::AGAIN) => return Ok(false),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        // The receiver has its own by now.
        drop(mem::take(&mut self.fds));
        Ok(true)
    }
}

fn arguments() -> Result<(UnixAddr, Option<NonZeroU64>), String> {
    let mut args = env::args_os().skip(1);
    let text = args.next().ok_or(USAGE)?;
    let addr = UnixAddr::parse(text.as_bytes())
        .map_err(|error| format!("bad address {}: {error}", text.as_bytes().escape_ascii()))?;
    let mut connections = None;
    while let Some(option) = args.next() {
        match option.to_str() {
            Some("--connections") => connections = Some(number("--connections", args.next())?),
            _ => {
                let option = option.as_bytes().escape_ascii();
                return Err(format!("unknown option {option}\n{USAGE}"));
            }
        }
    }
    Ok((addr, connections))
}

fn number(option: &str, value: Option<OsString>) -> Result<NonZeroU64, String> {
    value
        .and_then(|value| value.to_str()?.parse().ok())
        .ok_or_else(|| format!("{option} wants a number, 1 or more"))
}

/// Says what failed and why in words: without `std` an `Errno` knows its number only.
fn cannot(what: impl Display) -> impl FnOnce(Errno) -> String {
    move |errno| format!("cannot {what}: {}", io::Error::from_raw_os_error(errno.raw_os_error()))
}

/// Prints a line; a server goes on even if nobody reads what it prints.
fn say(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Listens; the file of a path goes when the server ends, unless another stands there by then. What one
/// that was killed left is reclaimed.
fn listen(addr: &UnixAddr) -> Result<(UnixListener, Option<SocketFile>), String> {
    let Some(path) = addr.as_pathname() else {
        let listener =
            UnixListener::bind(addr).map_err(cannot(format_args!("listen on {addr}")))?;
        return Ok((listener, None));
    };
    let options = SocketFile::options(path).reclaim().remove_on_drop();
    match options.listener() {
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
