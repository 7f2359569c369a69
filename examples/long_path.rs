//! Sockets at paths that are longer than an address, and connections to just the file that was looked at.
//!
//! ```text
//! cargo run --example long_path
//! cargo run --example long_path -- 4000
//! ```
//!
//! An address has room for a path of 108 bytes; the kernel's own paths may have 4095. Container engines and
//! build systems, with folders deep in folders, come there soon. The way is a descriptor of the folder or
//! of the file, and `/proc/thread-self/fd`; no working directory is changed, which all threads share.
//!
//! It makes a path of so many bytes (1000 if it is not told) in a folder of its own, and removes all of it.

use std::fmt::Display;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::{self, ExitCode};
use std::{env, fs};

use afunix::{Errno, FileAddr, SocketFile, UnixAddr, UnixDatagram, UnixSeqpacket, UnixStream};

const USAGE: &str = "usage: long_path [300..4000]";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // Not `eprintln!`, which panics if that is closed.
            let _ = writeln!(io::stderr(), "long_path: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let mut args = env::args().skip(1);
    let len = match args.next() {
        None => 1000,
        Some(text) => text.parse().map_err(|_| USAGE)?,
    };
    if !(300..=4000).contains(&len) || args.next().is_some() {
        return Err(USAGE.to_string());
    }
    let folder = Folder::new()?;
    let path = folder.path_of_len(len)?;
    let path = path.as_os_str().as_bytes();
    say(format_args!("a path of {} bytes", path.len()));
    match UnixAddr::from_pathname(path) {
        Ok(_) => return Err("it fits an address".to_string()),
        Err(error) => say(format_args!("as an address: {error}")),
    }

    streams(path).map_err(cannot("talk by a stream"))?;
    messages(path).map_err(cannot("send messages"))?;
    exactly(path).map_err(cannot("reach just one file"))
}

fn streams(path: &[u8]) -> Result<(), Errno> {
    let (listener, file) = SocketFile::options(path).mode(0o600).listener()?;
    let client = UnixStream::connect_path(path)?;
    let (server, _) = listener.accept()?;
    server.write(b"hello")?;
    let mut buf = [0; 16];
    let count = client.read(&mut buf)?;
    say(format_args!("a stream says {}", buf[..count].escape_ascii()));
    // It is not the path: what the socket was bound to means nothing outside of this process.
    let bound = listener.local_addr()?;
    let through =
        bound.as_pathname().is_some_and(|path| path.starts_with(b"/proc/thread-self/fd/"));
    say(format_args!("the kernel calls it by a descriptor: {through}"));
    say(format_args!("its file is removed: {}", file.remove()?));
    Ok(())
}

fn messages(path: &[u8]) -> Result<(), Errno> {
    let mut buf = [0; 16];
    let (inbox, file) = SocketFile::options(path).datagram()?;
    // An address for as long as it is kept; good for `send_to`, batches and all else that takes one.
    let target = FileAddr::open(path)?;
    UnixDatagram::unbound()?.send_to(b"hello", target.addr())?;
    let received = inbox.recv(&mut buf)?;
    say(format_args!("a datagram says {}", buf[..received.bytes].escape_ascii()));
    file.remove()?;

    let (listener, file) = SocketFile::options(path).seqpacket_listener()?;
    let client = UnixSeqpacket::connect_path(path)?;
    client.send(b"hello")?;
    let received = listener.accept()?.0.recv(&mut buf)?;
    say(format_args!("a seqpacket says {}", buf[..received.bytes].escape_ascii()));
    file.remove()?;
    Ok(())
}

/// Between a look at a file and the connection somebody may put another there.
fn exactly(path: &[u8]) -> Result<(), Errno> {
    let (first, _) = SocketFile::options(path).listener()?;
    let looked_at = FileAddr::open(path)?;
    let (second, file) = SocketFile::options(path).replace().listener()?;

    let _client = UnixStream::connect(looked_at.addr())?;
    first.set_nonblocking(true)?;
    second.set_nonblocking(true)?;
    let reached = (first.accept().is_ok(), second.accept().is_ok());
    say(format_args!("by the file that was looked at: {}", which(reached)));

    let _client = UnixStream::connect_path(path)?;
    let reached = (first.accept().is_ok(), second.accept().is_ok());
    say(format_args!("by the path: {}", which(reached)));
    file.remove()?;
    Ok(())
}

const fn which(reached: (bool, bool)) -> &'static str {
    match reached {
        (true, false) => "the first",
        (false, true) => "the second",
        _ => "not one of two",
    }
}

/// A folder that goes away with all that is in it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, String> {
        let path = env::temp_dir().join(format!("afunix-long-path-{}", process::id()));
        match fs::create_dir(&path) {
            Ok(()) => Ok(Self(path)),
            Err(error) => Err(format!("cannot make {}: {error}", path.display())),
        }
    }

    /// A path of that length, in folders that are there.
    fn path_of_len(&self, len: usize) -> Result<PathBuf, String> {
        // The last part has up to 255 bytes, and needs no folder.
        let (mut path, part) = (self.0.clone(), "d".repeat(99));
        while path.as_os_str().len() + 2 * (part.len() + 1) < len {
            path.push(&part);
        }
        fs::create_dir_all(&path).map_err(|error| format!("cannot make folders: {error}"))?;
        let rest = len.checked_sub(path.as_os_str().len() + 1).filter(|rest| *rest > 0);
        Ok(path.join("s".repeat(rest.ok_or("the folder for temporary files has a long path")?)))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            let _ = writeln!(io::stderr(), "long_path: {}: {error}", self.0.display());
        }
    }
}

fn cannot(what: impl Display) -> impl FnOnce(Errno) -> String {
    move |errno| {
        // Without `std` an errno knows its number only.
        format!("cannot {what}: {}", io::Error::from_raw_os_error(errno.raw_os_error()))
    }
}

fn say(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}
