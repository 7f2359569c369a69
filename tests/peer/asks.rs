//! The methods under test behind traits, and the options as the kernel answers them.

use afunix::{
    AsRawFd, Errno, Gid, PeerCredentials, PeerError, PidFd, UnixAddr, UnixDatagram, UnixSeqpacket,
    UnixStream,
};

use crate::common::kinds::Connects;
use crate::common::passes::Passes;
use crate::plain::last_errno;

/// What the three that carry data can be asked of their peer.
pub trait Asks: Passes {
    fn peer_credentials(&self) -> Result<PeerCredentials, PeerError>;
    fn peer_pidfd(&self) -> Result<PidFd, PeerError>;
    fn peer(&self) -> Result<afunix::Peer, PeerError>;
    fn peer_groups<'b>(&self, buf: &'b mut [Gid]) -> Result<&'b [Gid], PeerError>;
    fn peer_security_context<'b>(&self, buf: &'b mut [u8]) -> Result<&'b [u8], PeerError>;
}

/// A connection that was accepted, with whose it is.
pub type Accepted<T> = Result<(T, UnixAddr, PeerCredentials), PeerError>;

/// What the two that connect can be asked as they accept.
pub trait Meets: Asks + Connects {
    fn accept_peer(listener: &Self::Listener) -> Accepted<Self>;
    fn accept_peer_into(
        listener: &Self::Listener,
        from: &mut UnixAddr,
    ) -> Result<(Self, PeerCredentials), PeerError>;
}

macro_rules! impl_asks {
    ($($Type:ident)+) => {
        $(impl Asks for $Type {
            fn peer_credentials(&self) -> Result<PeerCredentials, PeerError> {
                self.peer_credentials()
            }
            fn peer_pidfd(&self) -> Result<PidFd, PeerError> {
                self.peer_pidfd()
            }
            fn peer(&self) -> Result<afunix::Peer, PeerError> {
                self.peer()
            }
            fn peer_groups<'b>(&self, buf: &'b mut [Gid]) -> Result<&'b [Gid], PeerError> {
                self.peer_groups(buf)
            }
            fn peer_security_context<'b>(
                &self,
                buf: &'b mut [u8],
            ) -> Result<&'b [u8], PeerError> {
                self.peer_security_context(buf)
            }
        })+
    };
}

impl_asks!(UnixStream UnixDatagram UnixSeqpacket);

macro_rules! impl_meets {
    ($($Type:ident)+) => {
        $(impl Meets for $Type {
            fn accept_peer(listener: &Self::Listener) -> Accepted<Self> {
                listener.accept_peer()
            }
            fn accept_peer_into(
                listener: &Self::Listener,
                from: &mut UnixAddr,
            ) -> Result<(Self, PeerCredentials), PeerError> {
                listener.accept_peer_into(from)
            }
        })+
    };
}

impl_meets!(UnixStream UnixSeqpacket);

/// Newer than libc's constants.
pub const SO_PEERPIDFD: i32 = 77;

/// What `getsockopt` gives with room for `room` bytes: the length that it tells, and all the memory,
/// which held 0xee.
pub fn option(
    socket: &impl AsRawFd,
    option: i32,
    room: usize,
) -> Result<(usize, Vec<u8>), (Errno, usize)> {
    let mut bytes = vec![0xee; room + 64];
    let mut len = libc::socklen_t::try_from(room).unwrap();
    // SAFETY: there is more room than is told.
    let done = unsafe {
        let value = bytes.as_mut_ptr().cast();
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, value, &raw mut len)
    };
    let told = len as usize;
    if done == 0 { Ok((told, bytes)) } else { Err((last_errno(), told)) }
}

/// Numbers of 4 bytes.
pub fn ints(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|int| u32::from_ne_bytes(int.try_into().unwrap())).collect()
}

/// The pid, uid and gid that the kernel tells of a peer.
pub fn told(socket: &impl AsRawFd) -> [u32; 3] {
    let (len, bytes) = option(socket, libc::SO_PEERCRED, 12).unwrap();
    assert_eq!(len, 12);
    ints(&bytes[..12]).try_into().unwrap()
}

/// The same three as this crate has them.
pub fn numbers(peer: PeerCredentials) -> [u32; 3] {
    let pid = peer.pid.map_or(0, |pid| pid.as_raw_pid().cast_unsigned());
    [pid, peer.euid.as_raw(), peer.egid.as_raw()]
}

/// This process, with its effective ids.
pub fn own() -> [u32; 3] {
    // SAFETY: they cannot fail.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    [std::process::id(), uid, gid]
}
