//! Each type of socket behind a trait, each way to make one in a table, and what a folder looks like.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use afunix::{
    Errno, FileAddr, OwnedFd, SocketFile, SocketFileError, SocketFileOptions, Step, UnixDatagram,
    UnixSeqpacket, UnixStream,
};
use rustix::fd::AsFd;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::ioctl_fionbio;
use rustix::net::{RecvFlags, accept, recv};

use crate::common::kinds::Data;

/// A socket, whatever its type, and its file.
pub type Made = Result<(OwnedFd, SocketFile), SocketFileError>;

/// What can have a file.
pub trait Files: Data + 'static {
    fn make_with(
        options: SocketFileOptions<'_>,
        prepare: impl FnOnce(&Self) -> Result<(), Errno>,
    ) -> Made;
    fn connect_path(path: &[u8]) -> Result<Self, SocketFileError>;

    fn make(options: SocketFileOptions<'_>) -> Made {
        Self::make_with(options, |_| Ok(()))
    }
}

macro_rules! impl_files {
    ($Type:ident, $make:ident, $make_with:ident, $connect:expr) => {
        impl Files for $Type {
            fn make_with(
                options: SocketFileOptions<'_>,
                prepare: impl FnOnce(&Self) -> Result<(), Errno>,
            ) -> Made {
                options.$make_with(prepare).map(|(socket, file)| (socket.into(), file))
            }
            fn make(options: SocketFileOptions<'_>) -> Made {
                options.$make().map(|(socket, file)| (socket.into(), file))
            }
            fn connect_path(path: &[u8]) -> Result<Self, SocketFileError> {
                $connect(path)
            }
        }
    };
}

impl_files!(UnixStream, listener, listener_with, Self::connect_path);
impl_files!(UnixSeqpacket, seqpacket_listener, seqpacket_listener_with, Self::connect_path);
impl_files!(UnixDatagram, datagram, datagram_with, |path: &[u8]| {
    let client = Self::unbound().unwrap();
    client.connect_path(path).map(|()| client)
});

/// A way to make a file.
pub type Way = for<'a> fn(SocketFileOptions<'a>) -> SocketFileOptions<'a>;

/// Those for which a name must be free, and those which make it so only of the dead.
pub const PLAIN: [(&str, Way); 2] = [("plain", |it| it), ("ready", |it| it.publish_ready())];
pub const RECLAIMING: [(&str, Way); 2] =
    [("reclaim", |it| it.reclaim()), ("reclaim, ready", |it| it.reclaim().publish_ready())];
/// Those which take any socket's name.
pub const REPLACING: [(&str, Way); 2] =
    [("replace", |it| it.replace()), ("replace, reclaim", |it| it.replace().reclaim())];

/// All of them.
pub fn ways() -> impl Iterator<Item = (&'static str, Way)> {
    PLAIN.into_iter().chain(RECLAIMING).chain(REPLACING)
}

/// The bytes of a path, for options.
pub fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

/// Opens a file, close-on-exec.
#[track_caller]
pub fn open(path: impl AsRef<Path>, flags: OFlags) -> OwnedFd {
    rustix::fs::open(bytes(path.as_ref()), flags | OFlags::CLOEXEC, Mode::empty()).unwrap()
}

/// What a file is: its inode, mode, links, owner, what it holds or leads to, and when any of that, or its
/// name, was changed last.
#[derive(Debug, Eq, PartialEq)]
pub struct State {
    pub path: PathBuf,
    pub numbers: [u64; 7],
    changed: (i64, i64),
    content: Vec<u8>,
}

/// All that is in a folder and below.
pub fn states(folder: impl AsRef<Path>) -> Vec<State> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stat = path.symlink_metadata().unwrap();
        let content = if stat.is_file() {
            fs::read(&path).unwrap()
        } else if stat.is_symlink() {
            fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec()
        } else {
            Vec::new()
        };
        if stat.is_dir() {
            all.append(&mut states(&path));
        }
        let numbers = [
            stat.ino(),
            stat.mode().into(),
            stat.nlink(),
            stat.uid().into(),
            stat.gid().into(),
            stat.rdev(),
            stat.size(),
        ];
        all.push(State { path, numbers, changed: (stat.ctime(), stat.ctime_nsec()), content });
    }
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all
}

/// The names in a folder.
pub fn names(folder: impl AsRef<Path>) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The next connection of a listener, without a wait.
pub fn next(listener: &OwnedFd) -> Result<OwnedFd, Errno> {
    ioctl_fionbio(listener, true)?;
    accept(listener)
}

/// The next message, or what there is of a stream, without a wait.
pub fn message(socket: impl AsFd) -> Result<Vec<u8>, Errno> {
    let mut buf = [0; 32];
    let (_, len) = recv(socket, &mut buf, RecvFlags::DONTWAIT)?;
    Ok(buf[..len].to_vec())
}

/// What the client sends arrives at this server, and at the front of its queue.
#[track_caller]
pub fn arrives<T: Data>(client: &T, server: &OwnedFd) {
    let token = format!("token {}", crate::common::unique());
    assert_eq!(client.put(token.as_bytes()), Ok(token.len()));
    let found =
        if T::TYPE == libc::SOCK_DGRAM { message(server) } else { next(server).and_then(message) };
    assert_eq!(found.as_deref(), Ok(token.as_bytes()));
}

/// Nothing has come to this server.
#[track_caller]
pub fn nothing_came<T: Data>(server: &OwnedFd) {
    let found = if T::TYPE == libc::SOCK_DGRAM {
        message(server).map(drop)
    } else {
        next(server).map(drop)
    };
    assert_eq!(found, Err(Errno::AGAIN));
}

/// A client of the file that is there now.
pub fn through_file<T: Files>(path: &[u8]) -> T {
    let target = FileAddr::open(path).unwrap();
    let client = T::unbound().unwrap();
    client.connect_to(target.addr()).unwrap();
    client
}

/// The step and errno of an error that the kernel said.
#[track_caller]
pub fn by_kernel<R>(answer: Result<R, SocketFileError>) -> (Step, Errno) {
    match answer.map(drop) {
        Err(SocketFileError::Kernel { step, errno, .. }) => (step, errno),
        other => panic!("{other:?}"),
    }
}

/// What was found that is no socket.
#[track_caller]
pub fn no_socket<R>(answer: Result<R, SocketFileError>) -> FileType {
    match answer.map(drop) {
        Err(SocketFileError::NotASocket { found, .. }) => found,
        other => panic!("{other:?}"),
    }
}

/// Where a NUL was found.
#[track_caller]
pub fn nul<R>(answer: Result<R, SocketFileError>) -> usize {
    match answer.map(drop) {
        Err(SocketFileError::InteriorNul { position, .. }) => position,
        other => panic!("{other:?}"),
    }
}

/// How long what is too long is, and may be.
#[track_caller]
pub fn too_long<R>(answer: Result<R, SocketFileError>) -> (usize, usize) {
    match answer.map(drop) {
        Err(SocketFileError::TooLong { len, limit, .. }) => (len, limit),
        other => panic!("{other:?}"),
    }
}
