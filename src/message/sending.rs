//! How data with control messages is sent.

use super::{Known, SendOptions, Sent, is_datagram, is_stream};
use crate::addr::UnixAddr;
use crate::ancillary::{AncillaryBuf, AncillaryWriter};
use crate::error::SendError;
use crate::socket::{Deadline, Waiting};
use crate::sys::msg::{DONTWAIT, PIECES_MAX, send, sent_len};
use crate::sys::socket::Kind;
use crate::wire::cmsg::{FDS_MAX, INT_LEN, message_len};
use crate::{BorrowedFd, Errno, IoSlice};

#[inline(always)]
pub(super) fn send_fds_to(
    fd: BorrowedFd<'_>,
    known: Known,
    data: &[u8],
    fds: &[BorrowedFd<'_>],
) -> Result<Sent, SendError> {
    let mut buf = AncillaryBuf::<{ message_len(FDS_MAX * INT_LEN) }>::new();
    let mut writer = buf.writer();
    if writer.push_fds(fds).is_err() {
        return Err(SendError::TooManyFds { fds: fds.len() });
    }
    send_to(fd, known, &[IoSlice::new(data)], &writer, SendOptions::new())
}

#[inline(always)]
pub(super) fn send_to(
    fd: BorrowedFd<'_>,
    known: Known,
    data: &[IoSlice<'_>],
    ancillary: &AncillaryWriter<'_, '_>,
    options: SendOptions<'_>,
) -> Result<Sent, SendError> {
    let data = match known {
        // As `write_vectored`: a stream may take less than it is given.
        Some(Kind::Stream) => data.split_at_checked(PIECES_MAX).map_or(data, |(first, _)| first),
        _ => data,
    };
    let fds = ancillary.fd_count();
    if fds > FDS_MAX {
        return Err(SendError::TooManyFds { fds });
    }
    if fds > 0 && sent_len(data) == 0 {
        refuse_on_stream(fd, known, fds)?;
    }
    let SendOptions { to, flags, deadline } = options;
    let sent = match deadline {
        None => send(fd, data, ancillary.messages(), to, flags),
        Some(deadline) => send_in_turns(fd, known, data, ancillary, (to, flags), deadline),
    };
    match sent {
        Ok(bytes) => Ok(Sent { bytes }),
        Err(errno) => Err(SendError::Kernel(errno)),
    }
}

#[inline(never)]
fn send_in_turns(
    fd: BorrowedFd<'_>,
    known: Known,
    data: &[IoSlice<'_>],
    ancillary: &AncillaryWriter<'_, '_>,
    (to, flags): (Option<&UnixAddr>, u32),
    deadline: Deadline,
) -> Result<usize, Errno> {
    let attempt = || send(fd, data, ancillary.messages(), to, DONTWAIT | flags);
    match attempt() {
        Err(Errno::AGAIN) => {}
        result => return result,
    }
    // The other types send to their peer, or would have said so.
    let wait_for = match to {
        Some(to) if is_datagram(fd, known)? => Some(to),
        _ => None,
    };
    let mut waiting = Waiting::to_send(fd, deadline, wait_for);
    loop {
        waiting.once_more()?;
        match attempt() {
            Err(Errno::AGAIN) => {}
            result => return result,
        }
    }
}

#[cold]
fn refuse_on_stream(fd: BorrowedFd<'_>, known: Known, fds: usize) -> Result<(), SendError> {
    match is_stream(fd, known) {
        Ok(true) => Err(SendError::NoData { fds }),
        Ok(false) => Ok(()),
        Err(errno) => Err(SendError::Kernel(errno)),
    }
}
