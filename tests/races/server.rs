//! Servers of the three types behind one, and their clients.

use std::path::Path;
use std::time::Duration;

use afunix::{
    AsRawFd, Errno, OwnedFd, SocketFile, SocketFileError, SocketFileOptions, UnixDatagram,
    UnixListener, UnixSeqpacket, UnixSeqpacketListener, UnixStream,
};

use crate::pipe::{PATIENCE, is_readable};

/// A type of socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    Stream,
    Seqpacket,
    Datagram,
}

pub const KINDS: [Kind; 3] = [Kind::Stream, Kind::Seqpacket, Kind::Datagram];

impl Kind {
    /// As libc has it.
    pub fn number(self) -> i32 {
        match self {
            Self::Stream => libc::SOCK_STREAM,
            Self::Seqpacket => libc::SOCK_SEQPACKET,
            Self::Datagram => libc::SOCK_DGRAM,
        }
    }
}

/// Why there is no server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    InUse,
    Locked,
    NotASocket,
    Other,
}

impl From<SocketFileError> for Refusal {
    fn from(error: SocketFileError) -> Self {
        match error {
            SocketFileError::InUse => Self::InUse,
            SocketFileError::Locked => Self::Locked,
            SocketFileError::NotASocket { .. } => Self::NotASocket,
            error => {
                eprintln!("a start failed: {error:?}");
                Self::Other
            }
        }
    }
}

/// One that answers, with its file if the crate made it.
pub struct Server {
    pub kind: Kind,
    pub socket: OwnedFd,
    pub file: Option<SocketFile>,
}

impl Server {
    pub fn make(options: SocketFileOptions<'_>, kind: Kind) -> Result<Self, Refusal> {
        let (socket, file) = match kind {
            Kind::Stream => options.listener().map(|(socket, file)| (socket.into(), file)),
            Kind::Seqpacket => {
                options.seqpacket_listener().map(|(socket, file)| (socket.into(), file))
            }
            Kind::Datagram => options.datagram().map(|(socket, file)| (socket.into(), file)),
        }?;
        Ok(Self { kind, socket, file: Some(file) })
    }

    /// Answers one client, with this number, if there is one or comes within the time. Whoever sends a
    /// datagram is answered if he has an address.
    pub fn answer(&self, number: u8, within: Duration) -> bool {
        if !is_readable(self.socket.as_raw_fd(), within) {
            return false;
        }
        let copy = || self.socket.try_clone().expect("a copy of a socket");
        match self.kind {
            Kind::Stream => {
                let (client, _) = UnixListener::from_fd_unchecked(copy()).accept().unwrap();
                // He may be gone.
                let _ = client.write(&[number]);
            }
            Kind::Seqpacket => {
                let listener = UnixSeqpacketListener::from_fd_unchecked(copy());
                let (client, _) = listener.accept().unwrap();
                let _ = client.send(&[number]);
            }
            Kind::Datagram => {
                let socket = UnixDatagram::from_fd_unchecked(copy());
                let (_, from) = socket.recv_from(&mut [0; 4]).unwrap();
                if !from.is_unnamed() {
                    let _ = socket.send_to(&[number], &from);
                }
            }
        }
        true
    }
}

/// One who has reached a server.
pub enum Client {
    Stream(UnixStream),
    Seqpacket(UnixSeqpacket),
    Datagram(UnixDatagram),
}

impl Client {
    /// Connects, and sends if it is a datagram.
    pub fn connect(path: &[u8], kind: Kind) -> Result<Self, Errno> {
        let errno = SocketFileError::errno;
        match kind {
            Kind::Stream => UnixStream::connect_path(path).map(Self::Stream).map_err(errno),
            Kind::Seqpacket => {
                UnixSeqpacket::connect_path(path).map(Self::Seqpacket).map_err(errno)
            }
            Kind::Datagram => {
                let (socket, _) = UnixDatagram::autobind()?;
                socket.connect_path(path).map_err(errno)?;
                socket.send(b"?")?;
                Ok(Self::Datagram(socket))
            }
        }
    }

    /// The number that it is answered with, if it is.
    pub fn answer(&self) -> Option<u8> {
        let fd = match self {
            Self::Stream(socket) => socket.as_raw_fd(),
            Self::Seqpacket(socket) => socket.as_raw_fd(),
            Self::Datagram(socket) => socket.as_raw_fd(),
        };
        if !is_readable(fd, PATIENCE) {
            return None;
        }
        let mut number = [0];
        let count = match self {
            Self::Stream(socket) => socket.read(&mut number).ok()?,
            Self::Seqpacket(socket) => socket.recv(&mut number).ok()?.bytes,
            Self::Datagram(socket) => socket.recv(&mut number).ok()?.bytes,
        };
        (count == 1).then_some(number[0])
    }
}

/// Whether a client of the path reaches this very server, of this process.
pub fn reaches(path: &[u8], server: &Server) -> Result<(), String> {
    const NUMBER: u8 = 42;
    let client =
        Client::connect(path, server.kind).map_err(|errno| format!("no connection: {errno:?}"))?;
    if !server.answer(NUMBER, Duration::ZERO) {
        return Err("the client has reached somebody else".into());
    }
    if client.answer() != Some(NUMBER) {
        return Err("the client was not answered".into());
    }
    Ok(())
}

/// The names in a folder, in order.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.unwrap().file_name().into_string().expect("a name of letters")
    };
    let mut names: Vec<_> = entries.map(name).collect();
    names.sort();
    names
}
