//! Starts and ends as they are often written, each with the fault that a test is to see.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use afunix::{OwnedFd, UnixAddr, UnixDatagram};

use crate::common::raw;
use crate::server::{Kind, Refusal, Server};

fn c_path(path: &[u8]) -> CString {
    CString::new(path).unwrap()
}

fn unlink(path: &[u8]) {
    // SAFETY: the kernel reads the C string.
    unsafe { libc::unlink(c_path(path).as_ptr()) };
}

/// Which file a path leads to, if to any.
pub fn inode(path: &[u8]) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let path = Path::new(std::ffi::OsStr::from_bytes(path));
    path.symlink_metadata().ok().map(|file| (file.dev(), file.ino()))
}

/// Binds, and listens if that is how it is reached.
pub fn bind(path: &[u8], kind: Kind) -> Result<Server, Refusal> {
    let socket = raw::socket(kind.number());
    bound(socket, path, kind, Duration::ZERO)
}

fn bound(
    socket: OwnedFd,
    path: &[u8],
    kind: Kind,
    before_listen: Duration,
) -> Result<Server, Refusal> {
    match raw::bind(&socket, path) {
        Ok(()) => {}
        Err(libc::EADDRINUSE) => return Err(Refusal::InUse),
        Err(_) => return Err(Refusal::Other),
    }
    std::thread::sleep(before_listen);
    if kind != Kind::Datagram {
        raw::listen(&socket);
    }
    Ok(Server { kind, socket, file: None })
}

/// Leaves the file of a socket that nobody has.
pub fn leave_stale(path: &[u8], kind: Kind) {
    drop(bind(path, kind).expect("a name that is free"));
}

/// Removes the file if nobody answers, and binds.
pub fn connect_unlink_bind(path: &[u8], kind: Kind) -> Result<Server, Refusal> {
    let socket = raw::socket(kind.number());
    match raw::connect(&socket, path) {
        Ok(()) => return Err(Refusal::InUse),
        Err(libc::ECONNREFUSED) => unlink(path),
        Err(libc::ENOENT) => {}
        // A server of another type is one.
        Err(_) => return Err(Refusal::InUse),
    }
    bound(raw::socket(kind.number()), path, kind, Duration::ZERO)
}

/// The same, but asks the very inode, and looks whether the name still leads to it before it removes that;
/// all without a lock.
pub fn checked_without_lock(path: &[u8], kind: Kind) -> Result<Server, Refusal> {
    use std::os::fd::AsRawFd as _;
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
    let flags = libc::O_PATH | libc::O_NOFOLLOW;
    let named = Path::new(std::ffi::OsStr::from_bytes(path));
    if let Ok(file) = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(named) {
        let through = format!("/proc/self/fd/{}", file.as_raw_fd());
        let through = UnixAddr::from_pathname(through.as_bytes()).unwrap();
        let probe = UnixDatagram::unbound().unwrap();
        if probe.connect(&through) != Err(afunix::Errno::CONNREFUSED) {
            return Err(Refusal::InUse);
        }
        let asked = file.metadata().unwrap();
        if inode(path) == Some((asked.dev(), asked.ino())) {
            unlink(path);
        }
    }
    bound(raw::socket(kind.number()), path, kind, Duration::ZERO)
}

/// Takes the name from whoever has it: the file is removed, and there is another some time later.
pub fn unlink_bind(path: &[u8], kind: Kind) -> Result<Server, Refusal> {
    const WHILE: Duration = Duration::from_millis(2);
    unlink(path);
    std::thread::sleep(WHILE);
    bound(raw::socket(kind.number()), path, kind, WHILE)
}

/// Takes the name by a rename, from a name that nobody else will ever look for.
pub fn temporary_and_rename(path: &[u8], kind: Kind) -> Result<Server, Refusal> {
    let temporary = [path, format!(".{}.tmp", std::process::id()).as_bytes()].concat();
    let server = bind(&temporary, kind)?;
    // SAFETY: the kernel reads the C strings.
    let done = unsafe { libc::rename(c_path(&temporary).as_ptr(), c_path(path).as_ptr()) };
    if done == 0 { Ok(server) } else { Err(Refusal::Other) }
}

/// Removes the file if the name leads to this one.
pub fn stat_unlink(path: &[u8], own: (u64, u64)) {
    if inode(path) == Some(own) {
        unlink(path);
    }
}
