//! The memory of `sendmmsg(2)` and `recvmmsg(2)`: lent to a batch, so that what points into it stays
//! where it is.

mod incoming;
mod outgoing;

use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

pub(crate) use incoming::{Glance, Incoming, Message, Taking};
use linux_raw_sys::general;
pub(crate) use outgoing::Outgoing;

use super::msg::{BatchHeader, Header};

/// Memory for `N` messages, of which none is written until it is needed.
pub(crate) struct Storage<const N: usize> {
    headers: [MaybeUninit<BatchHeader>; N],
    /// The data, where it is in one piece.
    pieces: [MaybeUninit<general::iovec>; N],
    /// How much room there is for control messages, where there is any: the header tells it only
    /// before the call.
    control_rooms: [MaybeUninit<usize>; N],
    /// How many headers, from the first on, are plain: written, for one piece, without control messages
    /// or an address. Nobody writes that twice.
    plain: usize,
}

impl<const N: usize> Storage<N> {
    #[inline]
    pub(crate) const fn new() -> Self {
        Self {
            headers: [const { MaybeUninit::uninit() }; N],
            pieces: [const { MaybeUninit::uninit() }; N],
            control_rooms: [const { MaybeUninit::uninit() }; N],
            plain: 0,
        }
    }

    #[inline(always)]
    fn lend(&mut self) -> Room<'_> {
        let Self { headers, pieces, control_rooms, plain } = self;
        Room {
            headers: NonNull::from(headers).cast(),
            pieces: NonNull::from(pieces).cast(),
            control_rooms: NonNull::from(control_rooms).cast(),
            plain: NonNull::from(plain),
            capacity: N,
            lent: PhantomData,
        }
    }
}

// SAFETY: what the pointers in it point to is looked at only through a batch, which borrows it all.
unsafe impl<const N: usize> Send for Storage<N> {}
// SAFETY: as above; and through a shared reference there is nothing to be had.
unsafe impl<const N: usize> Sync for Storage<N> {}

/// Memory that was lent for `'a` to one batch, as pointers: headers point to pieces. The batch copies it
/// so that what is seldom done can be given a copy, and not the batch, which then stays in registers.
///
/// INVARIANT lent: all point to the parts of one `Storage<{ capacity }>`, mutably.
/// INVARIANT plain: as many headers as `plain` says are what `Storage::plain` is about.
#[derive(Clone, Copy)]
struct Room<'a> {
    headers: NonNull<BatchHeader>,
    pieces: NonNull<general::iovec>,
    control_rooms: NonNull<usize>,
    plain: NonNull<usize>,
    capacity: usize,
    lent: PhantomData<&'a mut BatchHeader>,
}

impl Room<'_> {
    /// Makes a message of one piece, without control messages or an address; `None` if there is no
    /// room.
    #[inline(always)]
    fn put(self, at: usize, bytes: *mut u8, len: usize) -> Option<()> {
        // SAFETY: INVARIANT lent.
        if at >= unsafe { *self.plain.as_ptr() } {
            self.make_plain(at)?;
        }
        // SAFETY: INVARIANT plain, or it was made.
        unsafe { self.point(at, bytes, len) };
        Some(())
    }

    /// Makes messages of one piece each, without control messages or addresses, from `at` on; `None`,
    /// and none is made, if there is no room for all.
    #[inline(always)]
    fn put_all<B>(
        self,
        at: usize,
        bufs: impl ExactSizeIterator<Item = B>,
        mut parts: impl FnMut(B) -> (*mut u8, usize),
    ) -> Option<usize> {
        let end = at.checked_add(bufs.len())?;
        // SAFETY: INVARIANT lent.
        if end > unsafe { *self.plain.as_ptr() } {
            self.make_all_plain(at, end)?;
        }
        let mut next = at;
        for buf in bufs {
            if next >= end {
                break;
            }
            let (bytes, len) = parts(buf);
            // SAFETY: INVARIANT plain, or it was made.
            unsafe { self.point(next, bytes, len) };
            next = next.wrapping_add(1);
        }
        Some(next)
    }

    /// Points a header to its piece, and that to its bytes.
    ///
    /// # Safety
    ///
    /// The header must have been written.
    #[inline(always)]
    unsafe fn point(self, at: usize, bytes: *mut u8, len: usize) {
        // SAFETY: there is such a header, and there are as many pieces.
        let piece = unsafe { self.pieces.add(at) };
        // The type of the length is wider than the machine on some.
        #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
        let value = general::iovec { iov_base: bytes.cast(), iov_len: len as _ };
        // SAFETY: INVARIANT lent.
        unsafe { piece.write(value) };
        // SAFETY: the caller's promise.
        let header = unsafe { self.header(at) };
        // Each time anew: whoever had the memory before had it by another borrow.
        header.header.pieces = piece.as_ptr();
    }

    /// Makes headers plain.
    #[cold]
    #[inline(never)]
    fn make_all_plain(self, from: usize, end: usize) -> Option<()> {
        if end > self.capacity {
            return None;
        }
        for at in from..end {
            self.make_plain(at)?;
        }
        Some(())
    }

    /// Makes a header plain.
    #[cold]
    #[inline(never)]
    fn make_plain(self, at: usize) -> Option<()> {
        if at >= self.capacity {
            return None;
        }
        // SAFETY: it is below the capacity.
        let header = unsafe { self.headers.add(at) };
        let header_value =
            Header { flags: MaybeUninit::new(0), ..Header::new(core::ptr::null_mut(), 1) };
        let value = BatchHeader { header: header_value, len: 0 };
        // SAFETY: INVARIANT lent.
        unsafe { header.write(value) };
        // SAFETY: INVARIANT lent.
        let plain = unsafe { &mut *self.plain.as_ptr() };
        // Not where one before it is not plain.
        if *plain == at {
            *plain = at.wrapping_add(1);
        }
        Some(())
    }

    /// Takes the header for one that is not plain, which it is about to be.
    #[inline]
    fn spoil(self, at: usize) {
        // SAFETY: INVARIANT lent.
        let plain = unsafe { &mut *self.plain.as_ptr() };
        *plain = at.min(*plain);
    }

    /// # Safety
    ///
    /// The header must have been written, and nobody else have it.
    #[inline(always)]
    unsafe fn header<'h>(self, at: usize) -> &'h mut BatchHeader {
        // SAFETY: it was written, so it is one of those that there are.
        let header = unsafe { self.headers.add(at) };
        // SAFETY: the caller's promise.
        unsafe { &mut *header.as_ptr() }
    }
}
