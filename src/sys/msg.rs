//! `sendmsg(2)`, `recvmsg(2)` and their batch forms, on headers that we lay out ourselves.

use core::ffi::{c_int, c_void};
use core::mem::{MaybeUninit, size_of};
use core::ptr::{self, null, null_mut};

use linux_raw_sys::{general, net};
use rustix::fd::BorrowedFd;
use rustix::io::{Errno, IoSlice, IoSliceMut};

use super::addr::UnixAddr;
use super::control::Arrived;
use super::syscall::{fd_arg, int_arg, len_arg, ptr_arg, socket_call};

/// `UIO_MAXIOV`: with more pieces than this the kernel refuses the whole call.
pub(crate) const PIECES_MAX: usize = general::UIO_MAXIOV as usize;

/// `struct msghdr`, in which nobody has to write flags for a call of one message: the kernel does not read
/// them then, and writes them when it has received. (Of a batch it reads `MSG_EOR`.)
#[repr(C)]
pub(crate) struct Header {
    pub(crate) name: *mut c_void,
    pub(crate) name_len: c_int,
    pub(crate) pieces: *mut general::iovec,
    pub(crate) piece_count: usize,
    pub(crate) control: *mut c_void,
    pub(crate) control_len: usize,
    pub(crate) flags: MaybeUninit<u32>,
}

const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<Header>() == size_of::<net::msghdr>());
    assert!(offset_of!(Header, name_len) == offset_of!(net::msghdr, msg_namelen));
    assert!(offset_of!(Header, pieces) == offset_of!(net::msghdr, msg_iov));
    assert!(offset_of!(Header, piece_count) == offset_of!(net::msghdr, msg_iovlen));
    assert!(offset_of!(Header, control) == offset_of!(net::msghdr, msg_control));
    assert!(offset_of!(Header, control_len) == offset_of!(net::msghdr, msg_controllen));
    assert!(offset_of!(Header, flags) == offset_of!(net::msghdr, msg_flags));
};

impl Header {
    /// Of these pieces, with no address and no control buffer.
    #[inline]
    pub(crate) const fn new(pieces: *mut general::iovec, piece_count: usize) -> Self {
        Self {
            name: null_mut(),
            name_len: 0,
            pieces,
            piece_count,
            control: null_mut(),
            control_len: 0,
            flags: MaybeUninit::uninit(),
        }
    }

    /// To this address, which is only read.
    #[inline]
    pub(crate) fn set_name(&mut self, to: &UnixAddr) {
        self.name = to.raw().as_ptr().cast_mut().cast();
        // At most 110.
        #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)]
        let len = to.raw_len() as i32;
        self.name_len = len;
    }
}

/// One of a batch: `struct mmsghdr`.
#[repr(C)]
pub(crate) struct BatchHeader {
    pub(crate) header: Header,
    /// How many bytes of data went or came.
    pub(crate) len: u32,
}

const _: () = assert!(size_of::<BatchHeader>() == size_of::<net::mmsghdr>());

/// Do not wait; do not take away; and what a receive answers where control messages were lost.
pub(crate) const DONTWAIT: u32 = net::MSG_DONTWAIT;
pub(crate) const PEEK: u32 = net::MSG_PEEK;
pub(crate) const CTRUNC: u32 = net::MSG_CTRUNC;

/// Wait for the first of a batch alone: `MSG_WAITFORONE`, the same everywhere.
pub(crate) const WAIT_FOR_ONE: u32 = 0x1_0000;

/// How many bytes there are in the pieces.
#[inline]
pub(crate) fn sent_len(pieces: &[IoSlice<'_>]) -> usize {
    const { assert!(size_of::<IoSlice<'static>>() == size_of::<general::iovec>()) };
    // SAFETY: `IoSlice`s are `iovec`s by their documentation.
    total(unsafe { &*(ptr::from_ref(pieces) as *const [general::iovec]) })
}

/// How many bytes there is room for in the pieces.
#[inline]
pub(crate) fn received_len(pieces: &[IoSliceMut<'_>]) -> usize {
    const { assert!(size_of::<IoSliceMut<'static>>() == size_of::<general::iovec>()) };
    // SAFETY: `IoSliceMut`s are `iovec`s by their documentation.
    total(unsafe { &*(ptr::from_ref(pieces) as *const [general::iovec]) })
}

#[inline]
fn total(pieces: &[general::iovec]) -> usize {
    // rustix's own slices, without std, do not tell their length in the way that std's do. Its type
    // is wider than the machine on some.
    #[allow(clippy::cast_possible_truncation, clippy::unnecessary_cast)]
    pieces.iter().fold(0, |sum: usize, piece| sum.saturating_add(piece.iov_len as usize))
}

/// What one call received.
#[derive(Debug)]
pub(crate) struct Incoming<'b> {
    /// How many bytes the message had; of a stream, how many were received.
    pub(crate) size: usize,
    /// What the kernel put into `msg_flags`.
    pub(crate) flags: u32,
    pub(crate) arrived: Arrived<'b>,
}

/// Sends the pieces in one call, `MSG_NOSIGNAL` set. More than [`PIECES_MAX`] are `EMSGSIZE`.
#[inline]
pub(crate) fn send_vectored(fd: BorrowedFd<'_>, pieces: &[IoSlice<'_>]) -> Result<usize, Errno> {
    send(fd, pieces, &[], None, 0)
}

/// Sends the pieces with control messages, to an address if one is given, `MSG_NOSIGNAL` set.
#[inline(always)]
pub(crate) fn send(
    fd: BorrowedFd<'_>,
    pieces: &[IoSlice<'_>],
    control: &[MaybeUninit<u8>],
    to: Option<&UnixAddr>,
    flags: u32,
) -> Result<usize, Errno> {
    let mut header = Header::new(pieces.as_ptr().cast_mut().cast(), pieces.len());
    if !control.is_empty() {
        header.control = control.as_ptr().cast_mut().cast();
        header.control_len = control.len();
    }
    if let Some(to) = to {
        header.set_name(to);
    }
    // SAFETY: all that the header points to is borrowed for the call, and as long as it says. The
    // pieces are `IoSlice`s, which are `iovec`s by their documentation.
    unsafe { sendmsg(fd, &header, net::MSG_NOSIGNAL | flags) }
}

/// Receives one message into the pieces, its control messages into `control`, and its sender's
/// address, if that is wanted, into `from`. Descriptors that arrive are owned by the answer.
///
/// On an error `from` is as it was, unless a socket of another family answered: then it is unnamed,
/// and what was received is lost, the descriptors closed.
#[inline(always)]
pub(crate) fn receive<'b>(
    fd: BorrowedFd<'_>,
    pieces: &mut [IoSliceMut<'_>],
    control: &'b mut [MaybeUninit<u8>],
    from: Option<&mut UnixAddr>,
    flags: u32,
) -> Result<Incoming<'b>, Errno> {
    let call = |header: &mut Header| {
        // SAFETY:
        // - all that the header points to is borrowed for the call, and as long as it says; the
        //   pieces are `IoSliceMut`s, which are `iovec`s by their documentation;
        // - what descriptors arrive are owned by what `receive_into` makes of them.
        unsafe { recvmsg(fd, header, net::MSG_TRUNC | flags) }
    };
    // SAFETY: that call.
    unsafe { receive_by(pieces, control, from, call) }
}

/// [`receive`] by calls that do not wait. After each that was `EAGAIN`, `once_more` tells whether to make
/// another; if not, nothing was received: an empty message, from nobody.
#[inline(never)]
pub(crate) fn receive_in_turns<'b>(
    fd: BorrowedFd<'_>,
    pieces: &mut [IoSliceMut<'_>],
    control: &'b mut [MaybeUninit<u8>],
    from: Option<&mut UnixAddr>,
    flags: u32,
    // Not a parameter of the type: there is one copy of this, in nobody's way.
    once_more: &mut dyn FnMut() -> Result<bool, Errno>,
) -> Result<Incoming<'b>, Errno> {
    let call = |header: &mut Header| loop {
        // SAFETY: as in `receive`; after an error the header is what it was.
        match unsafe { recvmsg(fd, header, net::MSG_TRUNC | DONTWAIT | flags) } {
            Err(Errno::AGAIN) => {}
            result => return result,
        }
        if !once_more()? {
            (header.name_len, header.control_len) = (0, 0);
            header.flags = MaybeUninit::new(0);
            return Ok(0);
        }
    };
    // SAFETY: that call; or none, and a header that says so.
    unsafe { receive_by(pieces, control, from, call) }
}

/// # Safety
///
/// `call` must do what [`recvmsg`] does with the header, and nobody else own what descriptors arrive.
#[inline(always)]
unsafe fn receive_by<'b>(
    pieces: &mut [IoSliceMut<'_>],
    control: &'b mut [MaybeUninit<u8>],
    from: Option<&mut UnixAddr>,
    call: impl FnOnce(&mut Header) -> Result<usize, Errno>,
) -> Result<Incoming<'b>, Errno> {
    let mut header = Header::new(pieces.as_mut_ptr().cast(), pieces.len());
    let Some(from) = from else {
        // SAFETY: the caller's promise.
        return unsafe { receive_into(&mut header, control, call) };
    };
    let (name, capacity) = from.buffer();
    header.name = name;
    header.name_len = capacity.cast_signed();
    // SAFETY: the caller's promise; and `name` is writable for `capacity` bytes.
    let incoming = unsafe { receive_into(&mut header, control, call) }?;
    match from.settle(header.name_len.cast_unsigned()) {
        Ok(()) => Ok(incoming),
        Err(error) => Err(error.errno()),
    }
}

/// Lets `call` receive into `control`, besides what the header points to.
///
/// # Safety
///
/// `call` must do what [`recvmsg`] does with the header, and nobody else own what descriptors arrive.
#[inline(always)]
pub(super) unsafe fn receive_into<'b>(
    header: &mut Header,
    control: &'b mut [MaybeUninit<u8>],
    call: impl FnOnce(&mut Header) -> Result<usize, Errno>,
) -> Result<Incoming<'b>, Errno> {
    // Here, not where `control` is still to be passed on: no pointer that was made of it before may
    // be written through while this function has it.
    header.control = control.as_mut_ptr().cast();
    header.control_len = control.len();
    let size = call(header)?;
    let len = header.control_len;
    // SAFETY:
    // - the kernel wrote `len` bytes of messages, at most as many as it was told there are, headers
    //   and payloads whole;
    // - the descriptors in them were installed by this call, and nobody else knows of them.
    let arrived = unsafe { Arrived::new(control, len) };
    // SAFETY: the call succeeded, and has written them.
    let flags = unsafe { header.flags.assume_init() };
    Ok(Incoming { size, flags, arrived })
}

/// # Safety
///
/// Whatever the header points to must be readable for as long as it says.
#[inline]
pub(crate) unsafe fn sendmsg(
    fd: BorrowedFd<'_>,
    header: &Header,
    flags: u32,
) -> Result<usize, Errno> {
    let flags = int_arg(flags.cast_signed());
    // SAFETY: the header is borrowed for the call; what it points to is the caller's promise.
    unsafe { socket_call!(__NR_sendmsg, SYS_SENDMSG; fd_arg(fd), ptr_arg(header), flags) }
}

/// Receives one message; received descriptors are close-on-exec. What the header says afterwards
/// counts only if the call succeeded.
///
/// # Safety
///
/// Whatever the header points to must be writable for as long as it says, and the caller must own
/// what descriptors arrive.
#[inline]
pub(crate) unsafe fn recvmsg(
    fd: BorrowedFd<'_>,
    header: &mut Header,
    flags: u32,
) -> Result<usize, Errno> {
    let flags = int_arg((flags | net::MSG_CMSG_CLOEXEC).cast_signed());
    // SAFETY: the header is borrowed for the call; what it points to is the caller's promise.
    unsafe { socket_call!(__NR_recvmsg, SYS_RECVMSG; fd_arg(fd), ptr_arg(&raw mut *header), flags) }
}

/// Sends the messages in order and gives how many went; the kernel takes at most 1024 a call.
///
/// # Safety
///
/// As [`sendmsg`], for each header.
#[inline]
pub(crate) unsafe fn sendmmsg(
    fd: BorrowedFd<'_>,
    headers: &mut [BatchHeader],
    flags: u32,
) -> Result<usize, Errno> {
    let flags = int_arg(flags.cast_signed());
    let (pointer, count) = (ptr_arg(headers.as_mut_ptr()), len_arg(headers.len()));
    // SAFETY: the headers are borrowed for the call; what they point to is the caller's promise.
    unsafe { socket_call!(__NR_sendmmsg, SYS_SENDMMSG; fd_arg(fd), pointer, count, flags) }
}

/// Receives into the headers in order and gives how many were filled. There is no timeout: the
/// kernel looks at it only between two messages.
///
/// # Safety
///
/// As [`recvmsg`], for each header.
#[inline]
pub(crate) unsafe fn recvmmsg(
    fd: BorrowedFd<'_>,
    headers: &mut [BatchHeader],
    flags: u32,
) -> Result<usize, Errno> {
    let flags = int_arg((flags | net::MSG_CMSG_CLOEXEC).cast_signed());
    let (pointer, count) = (ptr_arg(headers.as_mut_ptr()), len_arg(headers.len()));
    let timeout = ptr_arg::<general::timespec>(null());
    // SAFETY: the headers are borrowed for the call; what they point to is the caller's promise;
    // no timeout is written back to a null pointer.
    unsafe { socket_call!(__NR_recvmmsg, SYS_RECVMMSG; fd_arg(fd), pointer, count, flags, timeout) }
}
