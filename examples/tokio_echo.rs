//! `echo_server` on tokio; and with the descriptors that come along.
//!
//! ```text
//! cargo run --example tokio_echo -- /tmp/echo.sock
//! cargo run --example tokio_echo -- @echo --connections 2
//! ```
//!
//! It shows how the sockets of this crate become asynchronous: non-blocking, in an `AsyncFd`, and each
//! call in the loop of [`when`], which is all there is to it. On that are built [`accept`],
//! [`recv_fds`] and [`send_all`], which are made to be taken along. A client that does not read keeps
//! nobody waiting but itself.

use std::env;
use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write};
use std::num::NonZeroU64;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use std::time::Duration;

use afunix::{
    BorrowedFd, Errno, Fds, Received, RecvError, SocketFile, SocketFileError, UnixAddr,
    UnixListener, UnixStream,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{self, JoinSet};
use tokio::time::sleep;

const USAGE: &str = "usage: tokio_echo ADDRESS [--connections N]
ADDRESS is /path or @name";

/// How many descriptors a client may send at once.
const FDS_MAX: usize = 16;

/// What may be registered: types that have one descriptor, which is their own for as long as they are.
trait Socket: afunix::AsRawFd {}

impl Socket for UnixListener {}
impl Socket for UnixStream {}

/// A socket of this crate as tokio wants it. With the feature `std` the sockets have std's `AsRawFd`
/// themselves, and `AsyncFd<UnixStream>` is a type.
struct Io<T>(T);

impl<T: Socket> AsRawFd for Io<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Has tokio's one epoll watch a socket, which must not wait by itself.
fn register<T: Socket>(socket: T, interest: Interest) -> io::Result<AsyncFd<Io<T>>> {
    // SAFETY: the descriptor is that of a `Socket`, so it is open and the same until the `AsyncFd` is
    // dropped: nothing here puts another socket in its place. (Before tokio 1.54 this is
    // `AsyncFd::with_interest`.)
    let registered = unsafe { AsyncFd::register_with_interest(Io(socket), interest) };
    registered.map_err(io::Error::from)
}

/// Waits until `call` need not wait, and gives what came of it.
///
/// That something is ready is a hint, which another task, or the kernel, may have overtaken. A call that
/// would wait after all takes the hint back (`try_io` does, and `clear_ready` would), and the next
/// one comes when something happens; while it does not, the hint stands, and the next round does not
/// wait.
async fn when<T: Socket, R>(
    socket: &AsyncFd<Io<T>>,
    interest: Interest,
    mut call: impl FnMut(&T) -> io::Result<R>,
) -> io::Result<R> {
    loop {
        let mut ready = socket.ready(interest).await?;
        match ready.try_io(|socket| call(&socket.get_ref().0)) {
            Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(result) => return result,
            Err(_would_wait) => {}
        }
    }
}

/// The next client.
async fn accept(listener: &AsyncFd<Io<UnixListener>>) -> io::Result<UnixStream> {
    let accept = |listener: &UnixListener| listener.accept().map_err(words);
    let (stream, _) = when(listener, Interest::READABLE, accept).await?;
    Ok(stream)
}

/// Bytes, and the descriptors that came with them; no bytes are the end.
async fn recv_fds<const N: usize>(
    stream: &AsyncFd<Io<UnixStream>>,
    buf: &mut [u8],
) -> io::Result<(Received, Fds<N>)> {
    let recv = |stream: &UnixStream| {
        stream.recv_fds::<N>(buf).map_err(|error| match error {
            RecvError::Kernel(errno) => words(errno),
            // Descriptors were lost: then it is better to have nothing.
            error => io::Error::other(error.to_string()),
        })
    };
    let (received, fds) = when(stream, Interest::READABLE, recv).await?;
    if fds.surplus() > 0 {
        return Err(io::Error::other(format!("more than {N} descriptors at once")));
    }
    Ok((received, fds))
}

/// Sends all of the bytes, and descriptors with the first of them.
async fn send_all(
    stream: &AsyncFd<Io<UnixStream>>,
    bytes: &[u8],
    fds: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let mut rest = bytes;
    if !fds.is_empty() {
        let send =
            |stream: &UnixStream| stream.send_fds(bytes, fds).map_err(|error| words(error.errno()));
        // Even of a short send the descriptors are gone. With the rest they would come twice.
        rest = when(stream, Interest::WRITABLE, send).await?.rest(bytes);
    }
    while !rest.is_empty() {
        let write = |stream: &UnixStream| stream.write(rest).map_err(words);
        let count = when(stream, Interest::WRITABLE, write).await?;
        rest = &rest[count..];
    }
    Ok(())
}

/// Sends back what comes, descriptors too.
async fn echo(stream: UnixStream) -> io::Result<()> {
    stream.set_nonblocking(true).map_err(words)?;
    let stream = register(stream, Interest::READABLE | Interest::WRITABLE)?;
    let mut buf = vec![0; 4096];
    loop {
        let (received, fds) = recv_fds::<FDS_MAX>(&stream, &mut buf).await?;
        // Descriptors belong with the last byte that they came with: bytes before it may be of earlier
        // sends.
        let Some((last, before)) = buf[..received.bytes].split_last() else { return Ok(()) };
        let lent: Vec<_> = fds.iter().collect();
        if lent.is_empty() {
            send_all(&stream, &buf[..received.bytes], &[]).await?;
        } else {
            send_all(&stream, before, &[]).await?;
            send_all(&stream, &[*last], &lent).await?;
        }
        // For a client that always has more there is never anything to wait for.
        task::yield_now().await;
    }
}

async fn serve(addr: UnixAddr, connections: Option<NonZeroU64>) -> Result<(), String> {
    let cannot_listen = |error: io::Error| format!("cannot listen on {addr}: {error}");
    let cannot_accept = |error: io::Error| format!("cannot accept: {error}");
    let (listener, _file) = listen(&addr)?;
    listener.set_nonblocking(true).map_err(words).map_err(cannot_listen)?;
    let listener = register(listener, Interest::READABLE).map_err(cannot_listen)?;
    say(format_args!("listening on {addr}"));
    // Dropped, at the end or by an abort, it ends all of them.
    let mut clients = JoinSet::new();
    let (mut number, mut paused) = (0, false);
    while connections.is_none_or(|limit| number < limit.get()) {
        // Those that have ended are not kept.
        while clients.try_join_next().is_some() {}
        match accept(&listener).await {
            Ok(stream) => {
                (number, paused) = (number + 1, false);
                clients.spawn(async move {
                    if let Err(error) = echo(stream).await {
                        // A client that goes away early is no trouble of the server's.
                        say(format_args!("client {number}: cannot go on: {error}"));
                    }
                });
            }
            Err(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => {
                if !paused {
                    say(format_args!("no descriptor left: {} clients", clients.len()));
                }
                paused = true;
                // The connection stays pending: time for a client to leave and free a descriptor.
                sleep(Duration::from_millis(100)).await;
            }
            Err(error) => return Err(cannot_accept(error)),
        }
    }
    while clients.join_next().await.is_some() {}
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("tokio_echo: {message}");
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
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    runtime.block_on(async {
        // Before there is a file that they would leave behind.
        let signals = [SignalKind::interrupt(), SignalKind::terminate()].map(signal);
        let server = task::spawn(serve(addr, connections));
        for signal in signals {
            let mut signal = signal.map_err(|error| format!("cannot wait for signals: {error}"))?;
            let server = server.abort_handle();
            task::spawn(async move {
                signal.recv().await;
                server.abort();
            });
        }
        match server.await {
            Ok(result) => result,
            Err(error) if error.is_cancelled() => {
                say("interrupted");
                Ok(())
            }
            Err(error) => Err(error.to_string()),
        }
    })
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

/// What std, and so tokio, calls an errno.
fn words(errno: Errno) -> io::Error {
    io::Error::from_raw_os_error(errno.raw_os_error())
}

/// Prints a line; a server goes on even if nobody reads what it prints.
fn say(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Listens; the file of a path goes when the server ends, unless another stands there by then. What one
/// that was killed left is reclaimed.
fn listen(addr: &UnixAddr) -> Result<(UnixListener, Option<SocketFile>), String> {
    let cannot = |errno| format!("cannot listen on {addr}: {}", words(errno));
    let Some(path) = addr.as_pathname() else {
        let listener = UnixListener::bind(addr).map_err(cannot)?;
        return Ok((listener, None));
    };
    let options = SocketFile::options(path).reclaim().remove_on_drop();
    match options.listener() {
        Ok((listener, file)) => Ok((listener, Some(file))),
        Err(SocketFileError::Kernel { errno, .. }) => Err(cannot(errno)),
        Err(error) => Err(format!("cannot listen on {addr}: {error}")),
    }
}
