//! Messages that are received in one call.

use core::hint::assert_unchecked;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::slice;

use linux_raw_sys::net;
use rustix::fd::BorrowedFd;
use rustix::io::Errno;

use super::{Room, Storage};
use crate::sys::addr::UnixAddr;
use crate::sys::control::Arrived;
use crate::sys::msg::{BatchHeader, CTRUNC, Header, recvmmsg};

/// Room for messages, and those that were received into it.
///
/// INVARIANT put: the first `len` headers and pieces have been written; what they point to is borrowed
/// for `'a`, mutably. Where a header has room for control messages, its length has been written. Where
/// one has room for an address, it points to a whole `UnixAddr`.
///
/// INVARIANT filled: `next <= filled <= len`; the kernel has filled the headers below `filled`, and what
/// descriptors arrived in those from `next` on belong to this value.
pub(crate) struct Incoming<'a> {
    room: Room<'a>,
    len: usize,
    filled: usize,
    next: usize,
    /// Whether one has room for control messages, or for an address.
    with_more: bool,
    borrowed: PhantomData<&'a mut [u8]>,
}

// SAFETY: it is what it borrows: bytes and addresses that it alone writes.
unsafe impl Send for Incoming<'_> {}
// SAFETY: as above, and nothing changes through a shared reference.
unsafe impl Sync for Incoming<'_> {}

/// One message that was received.
pub(crate) struct Message<'m> {
    /// The buffer that it was received into.
    pub(crate) buf: &'m mut [u8],
    /// How many bytes it had; of a stream, how many were received.
    pub(crate) size: usize,
    /// What the kernel put into `msg_flags`.
    pub(crate) flags: u32,
    /// The sender's address, if there was room for it and it is of this family.
    pub(crate) from: Option<&'m UnixAddr>,
    /// How much room there was for control messages.
    pub(crate) control_room: usize,
    /// The control messages, if there was room for any.
    pub(crate) arrived: Option<Arrived<'m>>,
}

/// What a look at a message finds.
pub(crate) struct Glance {
    pub(crate) size: usize,
    /// How much room for data there was.
    pub(crate) data_room: usize,
    /// Whether there are control messages, or were.
    pub(crate) controlled: bool,
    /// Whether there is an address.
    pub(crate) named: bool,
}

/// In place of the length of an address: it was of another family. No length is negative.
const NOT_OURS: i32 = -1;

impl<'a> Incoming<'a> {
    #[inline(always)]
    pub(crate) fn new<const N: usize>(storage: &'a mut Storage<N>) -> Self {
        let room = storage.lend();
        Self { room, len: 0, filled: 0, next: 0, with_more: false, borrowed: PhantomData }
    }

    #[inline]
    pub(crate) const fn capacity(&self) -> usize {
        self.room.capacity
    }

    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// How many messages were received last, taken or not.
    #[inline]
    pub(crate) const fn filled(&self) -> usize {
        self.filled
    }

    /// Whether one has room for control messages, or for an address.
    #[inline]
    pub(crate) const fn has_more(&self) -> bool {
        self.with_more
    }

    /// Whether all were filled, the last with no data.
    #[inline(always)]
    pub(crate) fn ends_empty(&self) -> bool {
        let Some(last) = self.filled.checked_sub(1) else { return false };
        // SAFETY: INVARIANT put.
        self.filled == self.len && unsafe { self.room.header(last) }.len == 0
    }

    /// Adds room for one message; `None` if there is no memory for it.
    #[inline(always)]
    pub(crate) fn push(&mut self, buf: &'a mut [u8]) -> Option<()> {
        self.room.put(self.len, buf.as_mut_ptr(), buf.len())?;
        self.len = self.len.wrapping_add(1);
        Some(())
    }

    /// Adds room for as many messages; `None`, and none is added, if there is no memory for all.
    #[inline(always)]
    pub(crate) fn push_all<B: AsMut<[u8]>>(&mut self, bufs: &'a mut [B]) -> Option<()> {
        let parts = |buf: &'a mut B| {
            let buf = buf.as_mut();
            (buf.as_mut_ptr(), buf.len())
        };
        self.len = self.room.put_all(self.len, bufs.iter_mut(), parts)?;
        Some(())
    }

    /// As `push`, with room for control messages, if that is any, and for the sender's address.
    #[inline]
    pub(crate) fn push_with(
        &mut self,
        buf: &'a mut [u8],
        control: &'a mut [MaybeUninit<u8>],
        from: Option<&'a mut UnixAddr>,
    ) -> Option<()> {
        self.push(buf)?;
        let at = self.len.wrapping_sub(1);
        self.room.spoil(at);
        // SAFETY: it was put just now.
        let header = &mut unsafe { self.room.header(at) }.header;
        if !control.is_empty() {
            header.control = control.as_mut_ptr().cast();
            // SAFETY: there are as many as headers.
            let room = unsafe { self.room.control_rooms.add(at) };
            // SAFETY: it is lent.
            unsafe { room.write(control.len()) };
        }
        if let Some(from) = from {
            // The whole address, which begins with what the kernel writes.
            header.name = core::ptr::from_mut(from).cast();
        }
        self.with_more = true;
        Some(())
    }

    /// Receives by `call`, which is given the headers; what was received before and not taken is
    /// dropped, and its descriptors closed.
    ///
    /// # Safety
    ///
    /// `call` must do what [`recvmmsg`] does with the headers, and nobody else own what descriptors
    /// arrive.
    #[inline(always)]
    pub(in crate::sys) unsafe fn receive_by(
        &mut self,
        call: impl FnOnce(&mut [BatchHeader]) -> Result<usize, Errno>,
    ) -> Result<usize, Errno> {
        if self.with_more {
            self.close(self.next);
            offer(self.room, self.len);
        }
        (self.next, self.filled) = (0, 0);
        // SAFETY: INVARIANT put.
        let headers = unsafe { slice::from_raw_parts_mut(self.room.headers.as_ptr(), self.len) };
        let filled = call(headers)?.min(self.len);
        if self.with_more {
            settle(self.room, filled);
        }
        self.filled = filled;
        Ok(filled)
    }

    /// Receives as many messages as there are and is room for.
    #[inline(always)]
    pub(crate) fn receive(&mut self, fd: BorrowedFd<'_>, flags: u32) -> Result<usize, Errno> {
        let flags = net::MSG_TRUNC | flags;
        // SAFETY:
        // - what the headers point to is writable: INVARIANT put;
        // - what descriptors arrive are this value's: INVARIANT filled.
        let call = |headers: &mut [BatchHeader]| unsafe { recvmmsg(fd, headers, flags) };
        // SAFETY: that call.
        unsafe { self.receive_by(call) }
    }

    /// Takes the messages that were received; those that are not asked for stay.
    #[inline(always)]
    pub(crate) fn take(&mut self) -> Taking<'_> {
        let Self { room, filled, next: left, with_more, .. } = self;
        Taking { room: *room, next: *left, left, filled: *filled, with_more: *with_more }
    }

    /// Looks at a message that was received.
    pub(crate) fn glance(&self, at: usize) -> Option<Glance> {
        if at >= self.filled {
            return None;
        }
        // SAFETY: INVARIANT put.
        let data_room = unsafe { buffer(self.room, at) }.len();
        // SAFETY: INVARIANT put.
        let BatchHeader { header, len } = unsafe { self.room.header(at) };
        // SAFETY: INVARIANT filled.
        let flags = unsafe { header.flags.assume_init() };
        let controlled = header.control_len > 0 || flags & CTRUNC != 0;
        let named = !header.name.is_null() && header.name_len > 0;
        Some(Glance { size: *len as usize, data_room, controlled, named })
    }

    /// Keeps the messages below `filled` alone, of those that were not taken; what descriptors came
    /// with others are closed.
    pub(crate) fn shorten(&mut self, filled: usize) {
        let filled = filled.max(self.next).min(self.filled);
        self.close(filled);
        self.filled = filled;
    }

    /// Closes what descriptors came with messages from `from` on. They count as taken.
    #[inline]
    fn close(&mut self, from: usize) {
        if self.with_more && from < self.filled {
            close(self.room, from, self.filled);
        }
    }
}

impl Drop for Incoming<'_> {
    #[inline]
    fn drop(&mut self) {
        self.close(self.next);
    }
}

/// Tells the kernel anew how much room there is for control messages and addresses.
#[inline(never)]
fn offer(room: Room<'_>, len: usize) {
    for at in 0..len {
        // SAFETY: INVARIANT put of the batch.
        let header = &mut unsafe { room.header(at) }.header;
        if !header.control.is_null() {
            // SAFETY: there are as many as headers.
            let control_room = unsafe { room.control_rooms.add(at) };
            // SAFETY: where there is room its length was written.
            header.control_len = unsafe { control_room.read() };
        }
        if !header.name.is_null() {
            // SAFETY: INVARIANT put of the batch.
            let (_, capacity) = unsafe { &mut *header.name.cast::<UnixAddr>() }.buffer();
            header.name_len = capacity.cast_signed();
        }
    }
}

/// Makes addresses of what the kernel wrote, so that those are whole whatever becomes of the batch.
#[inline(never)]
fn settle(room: Room<'_>, filled: usize) {
    for at in 0..filled {
        // SAFETY: INVARIANT put of the batch.
        let header = &mut unsafe { room.header(at) }.header;
        if !header.name.is_null() {
            // SAFETY: INVARIANT put of the batch.
            let from = unsafe { &mut *header.name.cast::<UnixAddr>() };
            if from.settle(header.name_len.cast_unsigned()).is_err() {
                header.name_len = NOT_OURS;
            }
        }
    }
}

/// Closes what descriptors came with the messages.
#[inline(never)]
fn close(room: Room<'_>, from: usize, filled: usize) {
    let mut next = from;
    for message in (Taking { room, next, left: &mut next, filled, with_more: true }) {
        drop(message);
    }
}

/// Takes messages out of an `Incoming`, which is borrowed for `'m` with its invariants.
pub(crate) struct Taking<'m> {
    room: Room<'m>,
    next: usize,
    /// Where the batch has `next`. Where descriptors may have come it is written at once: what is
    /// forgotten must not be owned twice.
    left: &'m mut usize,
    filled: usize,
    with_more: bool,
}

// SAFETY: it is a mutable borrow of what is `Send`.
unsafe impl Send for Taking<'_> {}
// SAFETY: as above; and nothing is to be had through a shared reference.
unsafe impl Sync for Taking<'_> {}

impl Taking<'_> {
    /// How many there are.
    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.filled.wrapping_sub(self.next)
    }
}

impl<'m> Iterator for Taking<'m> {
    type Item = Message<'m>;

    #[inline(always)]
    fn next(&mut self) -> Option<Message<'m>> {
        let (room, at) = (self.room, self.next);
        if at >= self.filled {
            return None;
        }
        self.next = at.wrapping_add(1);
        // SAFETY: INVARIANT put; and each is taken but once.
        let BatchHeader { header, len } = unsafe { room.header(at) };
        // SAFETY: INVARIANT filled.
        let flags = unsafe { header.flags.assume_init() };
        // SAFETY: as above.
        let buf = unsafe { buffer(room, at) };
        let mut message =
            Message { buf, size: *len as usize, flags, from: None, control_room: 0, arrived: None };
        if self.with_more {
            *self.left = self.next;
            // SAFETY: as above.
            unsafe { more(&mut message, room, at) };
        }
        Some(message)
    }
}

impl Drop for Taking<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        *self.left = self.next;
    }
}

/// The buffer of a message.
///
/// # Safety
///
/// It must have been put into a batch that is borrowed for `'m`, and nobody else look at it.
#[inline(always)]
unsafe fn buffer<'m>(room: Room<'m>, at: usize) -> &'m mut [u8] {
    // SAFETY: it was put, so it is one of those that there are.
    let piece = unsafe { room.pieces.add(at) };
    // SAFETY: it was put.
    let piece = unsafe { piece.read() };
    // The type is wider than the machine on some.
    #[allow(clippy::cast_possible_truncation, clippy::unnecessary_cast)]
    let len = piece.iov_len as usize;
    // SAFETY: it was made of a slice. (So a message is not nothing, which else is looked for.)
    unsafe { assert_unchecked(!piece.iov_base.is_null()) };
    // SAFETY: the caller's promise.
    unsafe { slice::from_raw_parts_mut(piece.iov_base.cast(), len) }
}

/// Adds the address and the control messages.
///
/// # Safety
///
/// It must be that message, filled, of a batch that is borrowed for `'m`, and nobody else look at it.
#[inline]
unsafe fn more<'m>(message: &mut Message<'m>, room: Room<'m>, at: usize) {
    // SAFETY: the caller's promise.
    let Header { name, name_len, control, control_len, .. } = unsafe { room.header(at) }.header;
    if !name.is_null() && name_len != NOT_OURS {
        // SAFETY: it is an address, the caller says, and nobody else looks at it.
        message.from = Some(unsafe { &*name.cast() });
    }
    if control.is_null() {
        return;
    }
    // SAFETY: there are as many as headers.
    let control_room = unsafe { room.control_rooms.add(at) };
    // SAFETY: where there is room its length was written.
    message.control_room = unsafe { control_room.read() };
    // SAFETY: it is borrowed, and nobody else looks at it.
    let bytes = unsafe { slice::from_raw_parts_mut(control.cast(), message.control_room) };
    // SAFETY:
    // - the kernel wrote so many bytes of messages, headers and payloads whole;
    // - the descriptors in them were installed by the call, and nobody else is told of them.
    message.arrived = Some(unsafe { Arrived::new(bytes, control_len) });
}
