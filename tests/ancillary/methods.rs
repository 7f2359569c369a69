//! All that one receive gives, and how the tests here send and receive.

use afunix::{
    AncillaryBuf, AsFd, BorrowedFd, Credentials, Errno, Gid, IoSlice, IoSliceMut, OwnedFd, Pid,
    PidFd, Received, RecvError, RecvOptions, SendError, SendOptions, Sent, Truncation, Uid,
};

use crate::common::passes::Answer;
pub use crate::common::passes::Passes;

/// All that one receive gave.
#[derive(Debug)]
pub struct Got {
    pub received: Received,
    pub data: Vec<u8>,
    pub fds: Vec<OwnedFd>,
    pub credentials: Option<Credentials>,
    pub pidfd: Result<Option<PidFd>, Errno>,
    pub bytes_left: Option<usize>,
    /// Level, type and length of each.
    pub unknown: Vec<(i32, i32, usize)>,
    pub truncation: Option<Truncation>,
}

impl Got {
    pub fn has_pidfd(&self) -> bool {
        matches!(self.pidfd, Ok(Some(_)))
    }
}

fn collect<'b>(
    len: usize,
    receive: impl FnOnce(&mut [IoSliceMut<'_>]) -> Answer<'b>,
) -> Result<Got, RecvError> {
    let mut data = vec![0; len];
    let (received, mut ancillary) = receive(&mut [IoSliceMut::new(&mut data)])?;
    data.truncate(received.bytes);
    let unknown = ancillary.unknown();
    let unknown = unknown.map(|other| (other.level, other.kind, other.payload.len())).collect();
    Ok(Got {
        received,
        data,
        credentials: ancillary.credentials(),
        bytes_left: ancillary.bytes_left(),
        unknown,
        truncation: ancillary.truncation(),
        pidfd: ancillary.take_pidfd(),
        fds: ancillary.take_fds().collect(),
    })
}

/// Receives at most `len` bytes by the method, with much room for control messages.
pub fn got<T: Passes>(socket: &T, len: usize, options: RecvOptions<'_>) -> Result<Got, RecvError> {
    let mut control = AncillaryBuf::<1200>::new();
    collect(len, |data| socket.recv_with(data, &mut control, options))
}

/// [`got`] by the function.
pub fn got_of(fd: impl AsFd, len: usize, options: RecvOptions<'_>) -> Result<Got, RecvError> {
    let mut control = AncillaryBuf::<1200>::new();
    collect(len, |data| afunix::recv_with(fd, data, &mut control, options))
}

/// Receives with the defaults, by the method.
#[track_caller]
pub fn get<T: Passes>(socket: &T, len: usize) -> Got {
    got(socket, len, RecvOptions::new()).expect("a message")
}

/// What the receive gives, if it may not wait.
pub fn now<T: Passes>(socket: &T) -> Result<Got, RecvError> {
    got(socket, 16, RecvOptions::new().nonblocking())
}

/// What [`now`] says of an empty queue.
pub const NOTHING: RecvError = RecvError::Kernel(Errno::AGAIN);

/// Sends bytes with one set of credentials.
pub fn claim<T: Passes>(
    socket: &T,
    data: &[u8],
    credentials: &[Credentials],
) -> Result<Sent, SendError> {
    let mut buf = AncillaryBuf::<128>::new();
    let mut writer = buf.writer();
    for each in credentials {
        writer.push_credentials(*each).expect("room");
    }
    socket.send_with(&[IoSlice::new(data)], &writer, SendOptions::new())
}

/// Credentials of any numbers.
pub fn credentials(pid: u32, uid: u32, gid: u32) -> Credentials {
    Credentials {
        pid: Pid::from_raw(pid.cast_signed()),
        uid: Uid::from_raw_unchecked(uid),
        gid: Gid::from_raw_unchecked(gid),
    }
}

/// Those of this process: its real ids.
pub fn mine() -> Credentials {
    // SAFETY: they cannot fail.
    let (uid, gid) = unsafe { (libc::getuid(), libc::getgid()) };
    credentials(std::process::id(), uid, gid)
}

/// Lends descriptors to be sent.
pub fn lend(fds: &[OwnedFd]) -> Vec<BorrowedFd<'_>> {
    fds.iter().map(AsFd::as_fd).collect()
}
