//! The three types of socket that have a file, behind one trait; and whose they are.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use afunix::{
    Errno, FileAddr, OwnedFd, SocketFile, SocketFileError, SocketFileOptions, Step, UnixAddr,
    UnixDatagram, UnixSeqpacket, UnixStream,
};

use crate::common::kinds::{Connects, Data};
use crate::common::{TempDir, raw};

pub trait Made: Data {
    /// Makes the socket that others of this type reach, and its file.
    fn make(options: SocketFileOptions<'_>) -> Result<(OwnedFd, SocketFile), SocketFileError>;

    fn connect_path(path: &[u8]) -> Result<(), SocketFileError>;

    /// What each way to reach a socket answers, which is the same.
    fn reach(addr: &UnixAddr) -> Result<(), Errno>;
}

impl Made for UnixStream {
    fn make(options: SocketFileOptions<'_>) -> Result<(OwnedFd, SocketFile), SocketFileError> {
        options.listener().map(|(socket, file)| (socket.into(), file))
    }
    fn connect_path(path: &[u8]) -> Result<(), SocketFileError> {
        Self::connect_path(path).map(drop)
    }
    fn reach(addr: &UnixAddr) -> Result<(), Errno> {
        connects::<Self>(addr)
    }
}

impl Made for UnixSeqpacket {
    fn make(options: SocketFileOptions<'_>) -> Result<(OwnedFd, SocketFile), SocketFileError> {
        options.seqpacket_listener().map(|(socket, file)| (socket.into(), file))
    }
    fn connect_path(path: &[u8]) -> Result<(), SocketFileError> {
        Self::connect_path(path).map(drop)
    }
    fn reach(addr: &UnixAddr) -> Result<(), Errno> {
        connects::<Self>(addr)
    }
}

fn connects<T: Connects>(addr: &UnixAddr) -> Result<(), Errno> {
    let made = T::connect(addr).map(drop);
    assert_eq!(T::unbound().unwrap().connect_to(addr), made);
    made
}

impl Made for UnixDatagram {
    fn make(options: SocketFileOptions<'_>) -> Result<(OwnedFd, SocketFile), SocketFileError> {
        options.datagram().map(|(socket, file)| (socket.into(), file))
    }
    fn connect_path(path: &[u8]) -> Result<(), SocketFileError> {
        Self::unbound().unwrap().connect_path(path)
    }
    fn reach(addr: &UnixAddr) -> Result<(), Errno> {
        let socket = Self::unbound().unwrap();
        socket.set_nonblocking(true).unwrap();
        let sent = match socket.send_to(b"x", addr) {
            // Its queue is full of what came before.
            Ok(1) | Err(Errno::AGAIN) => Ok(()),
            sent => sent.map(drop),
        };
        assert_eq!(socket.connect(addr), sent);
        sent
    }
}

/// How a file is made, as far as that decides under which name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    Plain,
    Reclaim,
    Replace,
    PublishReady,
}

impl Way {
    pub const ALL: [Self; 4] = [Self::Plain, Self::Reclaim, Self::Replace, Self::PublishReady];

    pub fn options(self, path: &Path) -> SocketFileOptions<'_> {
        let options = SocketFile::options(path.as_os_str().as_bytes());
        match self {
            Self::Plain => options,
            Self::Reclaim => options.reclaim(),
            Self::Replace => options.replace(),
            Self::PublishReady => options.publish_ready(),
        }
    }

    /// Whether the file has another name first, whatever else is asked for.
    pub fn is_hidden(self) -> bool {
        matches!(self, Self::Replace | Self::PublishReady)
    }
}

/// The error of a step, as it is reported.
pub fn is_kernel<T>(made: &Result<T, SocketFileError>, step: Step, errno: Errno) -> bool {
    let is = |error: &SocketFileError| matches!(error, SocketFileError::Kernel { step: found, errno: why, .. } if (*found, *why) == (step, errno));
    made.as_ref().is_err_and(is)
}

/// The name that the kernel knows a socket by.
pub fn local_addr(socket: &OwnedFd) -> UnixAddr {
    let name = raw::getsockname(socket);
    UnixAddr::from_raw(name.reported(), name.addr_len).expect("a good address")
}

/// The permissions of what has this name.
pub fn mode(path: impl AsRef<Path>) -> u32 {
    path.as_ref().symlink_metadata().expect("a file").mode() & 0o7777
}

/// Owner, group and permissions of what has this name.
pub fn owned(path: impl AsRef<Path>) -> (u32, u32, u32) {
    let file = path.as_ref().symlink_metadata().expect("a file");
    (file.uid(), file.gid(), file.mode() & 0o7777)
}

pub fn chmod(path: impl AsRef<Path>, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("chmod");
}

pub fn chown(path: impl AsRef<Path>, uid: u32, gid: u32) {
    std::os::unix::fs::chown(path, Some(uid), Some(gid)).expect("chown");
}

pub fn set_umask(umask: u32) {
    // SAFETY: a number alone.
    unsafe { libc::umask(umask as libc::mode_t) };
}

/// A folder of this owner and mode, into which anybody finds the way.
pub fn folder_of(uid: u32, mode: u32) -> TempDir {
    let folder = TempDir::new();
    chown(folder.path(), uid, uid);
    chmod(folder.path(), mode);
    folder
}

/// Leaves a socket's file that nobody has, of this mode.
pub fn leave_stale<T: Made>(path: &Path, mode: u32) {
    // Renamed, for the temporary name is given to nobody.
    let first = path.with_file_name("first");
    let (socket, _) = T::make(Way::Plain.options(&first).mode(mode).any_directory()).unwrap();
    crate::common::close(socket);
    std::fs::rename(first, path).unwrap();
}

/// What it answers to who opens the file first.
pub fn reach_opened<T: Made>(path: &Path) -> Result<(), Errno> {
    let target = FileAddr::open(path.as_os_str().as_bytes()).map_err(SocketFileError::errno)?;
    T::reach(target.addr())
}
