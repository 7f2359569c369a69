//! How data with control messages is sent.

use super::{Known, SendOptions, Sent, is_stream};
use crate::ancillary::{AncillaryBuf, AncillaryWriter};
use crate::error::SendError;
use crate::sys::msg::{PIECES_MAX, send, sent_len};
use crate::sys::socket::Kind;
use crate::wire::cmsg::{FDS_MAX, INT_LEN, message_len};
use crate::{BorrowedFd, IoSlice};

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
    match send(fd, data, ancillary.messages(), options.to, options.flags) {
        Ok(bytes) => Ok(Sent { bytes }),
        Err(errno) => Err(SendError::Kernel(errno)),
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
