//! The storage of an address: what is passed to the kernel, and what the kernel fills.

use core::ffi::c_void;

use rustix::net::addr::{SocketAddrArg, SocketAddrLen, SocketAddrOpaque};

use crate::error::DecodeError;
use crate::wire::addr::{
    ABSTRACT_NAME_MAX, ADDR_MAX, AF_UNIX, FAMILY_LEN, SUN_PATH_LEN, Shape, copy, decode,
    is_usual_path,
};

/// The address of a UNIX domain socket: a pathname, an abstract name, or none.
///
/// It holds the bytes of `struct sockaddr_un` and their exact length, so nothing is ever guessed
/// from the content: a name may be empty, begin or end with NUL, or be full to the last byte. It
/// is plain data of 112 bytes, made in constant expressions if you like, and goes to the kernel
/// without a copy: it implements rustix's [`SocketAddrArg`], so any call of rustix takes it.
///
/// Two addresses are equal if the kernel would get the same bytes; they are ordered and hashed by
/// these bytes too, unnamed first, then abstract names, then pathnames.
///
/// | kind | made by | in the file system | told apart by |
/// |---|---|---|---|
/// | pathname | [`from_pathname`](Self::from_pathname) | yes | 1 to 108 bytes, no NUL |
/// | abstract | [`from_abstract_name`](Self::from_abstract_name) | no | exact bytes, and the socket's type |
/// | unnamed | [`UNNAMED`](Self::UNNAMED) | no | nothing: it cannot be connected to |
///
/// See [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html), "Address format".
///
/// # Examples
///
/// ```
/// use afunix::{AddrKind, UnixAddr};
///
/// // A bad constant does not compile.
/// const LOG: UnixAddr = match UnixAddr::from_pathname(b"/dev/log") {
///     Ok(addr) => addr,
///     Err(_) => panic!("not a path for a socket"),
/// };
/// assert_eq!(LOG.kind(), AddrKind::Pathname(b"/dev/log"));
///
/// let name = UnixAddr::from_abstract_name(b"\0exact\0")?;
/// assert_eq!(name.as_abstract_name(), Some(&b"\0exact\0"[..]));
/// assert_eq!(name.to_string(), r"@\x00exact\x00");
/// # Ok::<(), afunix::AddrError>(())
/// ```
#[doc(alias = "sockaddr_un")]
#[doc(alias = "SocketAddr")]
#[derive(Clone, Copy)]
#[repr(C, align(2))]
pub struct UnixAddr {
    // One array, because the compiler moves a struct field by field, and 111 bytes are more work
    // than 112. What it holds:
    // - `sa_family`, 2 bytes. INVARIANT family: AF_UNIX in the machine's order.
    // - `sun_path`, 108 bytes. INVARIANT path: a path has no NUL inside, and one behind it.
    //   INVARIANT unnamed: without a name its first byte is NUL.
    // - 1 byte for the NUL of the longest path. INVARIANT end: NUL.
    // - `addrlen`, 1 byte. INVARIANT len: 2 to 110, how much the kernel is given: a path with its
    //   NUL where both fit.
    bytes: [u8; FAMILY_LEN + SUN_PATH_LEN + 2],
}

impl UnixAddr {
    /// [`UNNAMED`](Self::UNNAMED), made where it is needed: storing zeros is half the work of
    /// copying a constant.
    #[inline]
    pub(crate) const fn fresh() -> Self {
        let [low, high] = AF_UNIX.to_ne_bytes();
        let mut bytes = [0; FAMILY_LEN + SUN_PATH_LEN + 2];
        bytes[0] = low;
        bytes[1] = high;
        bytes[LEN] = 2;
        Self { bytes }
    }

    /// Storage to be filled and [settled](Self::settle); no address before that.
    #[inline]
    pub(super) const fn blank() -> Self {
        Self { bytes: [0; FAMILY_LEN + SUN_PATH_LEN + 2] }
    }

    /// Takes over a path of 1 to 108 bytes. If there is a NUL among them, nothing changes and the
    /// answer is `false`.
    #[inline(always)]
    pub(crate) const fn store_pathname(&mut self, path: &[u8]) -> bool {
        // The length first: a byte stored shortly before the address is moved makes that slower.
        let before = self.bytes[LEN];
        self.bytes[LEN] = pathname_len(path.len());
        let [_, _, sun_path @ .., _, _] = &mut self.bytes;
        if !copy::<true>(sun_path, path) {
            self.bytes[LEN] = before;
            return false;
        }
        if let Some((_, [end, ..])) = self.sun_path_mut().split_at_mut_checked(path.len()) {
            *end = 0;
        }
        true
    }

    /// Takes over an abstract name of 0 to 107 bytes.
    #[inline(always)]
    pub(crate) const fn store_abstract_name(&mut self, name: &[u8]) {
        self.bytes[LEN] = abstract_len(name.len());
        let [lead, sun_path @ ..] = self.sun_path_mut();
        *lead = 0;
        copy::<false>(sun_path, name);
    }

    /// `sun_path` and the byte after it.
    #[inline]
    const fn sun_path_mut(&mut self) -> &mut [u8; SUN_PATH_LEN + 1] {
        let [_, _, sun_path @ .., _] = &mut self.bytes;
        sun_path
    }

    /// What the kernel is given: the family and the exact bytes of `sun_path`.
    #[inline]
    pub(crate) const fn raw(&self) -> &[u8] {
        let len = self.raw_len();
        // SAFETY: INVARIANT len.
        unsafe { core::hint::assert_unchecked(FAMILY_LEN <= len && len <= ADDR_MAX) };
        match self.bytes.split_at_checked(len) {
            Some((raw, _)) => raw,
            None => &self.bytes,
        }
    }

    /// The path, if it has one.
    #[inline]
    pub(crate) const fn path(&self) -> Option<&[u8]> {
        // INVARIANT unnamed: one look tells a path from both other kinds.
        match self.raw() {
            [_, _, path @ .., 0] | [_, _, path @ ..] if self.bytes[FAMILY_LEN] != 0 => Some(path),
            _ => None,
        }
    }

    /// `sun_path` as far as it is in use, then a NUL, then whatever was there before.
    #[inline]
    pub(crate) const fn sun_path_and_nul(&self) -> &[u8] {
        let [_, _, sun_path @ .., _] = &self.bytes;
        sun_path
    }

    /// How many bytes the kernel is given.
    #[inline]
    pub(crate) const fn raw_len(&self) -> usize {
        self.bytes[LEN] as usize
    }

    /// Where the kernel may write an address, and how much: never the last byte, which stays NUL.
    ///
    /// From this call to [`settle`](Self::settle) only that function may look at the value.
    #[inline]
    pub(crate) fn buffer(&mut self) -> (*mut c_void, u32) {
        #[allow(clippy::cast_possible_truncation)] // It is 110.
        const CAPACITY: u32 = ADDR_MAX as u32;
        (self.bytes.as_mut_ptr().cast(), CAPACITY)
    }

    /// Makes an address of what the kernel wrote to [`buffer`](Self::buffer), `addr_len` being the
    /// length it reported. On an error this is [`UNNAMED`](Self::UNNAMED).
    #[inline(always)]
    pub(crate) fn settle(&mut self, addr_len: u32) -> Result<(), DecodeError> {
        // First, though it is not known to be right yet: a byte stored shortly before the address is
        // moved makes that slower. INVARIANT len: for a usual path it is; else it is set again.
        let [len, ..] = addr_len.to_le_bytes();
        self.bytes[LEN] = len;
        let addr_len = addr_len as usize;
        let written = self.bytes.first_chunk::<ADDR_MAX>();
        if written.is_some_and(|written| is_usual_path(written, addr_len)) {
            return Ok(());
        }
        self.settle_unusual(addr_len)
    }

    /// [`settle`](Self::settle) where no name is what is usual, as of a client.
    #[inline(always)]
    pub(crate) fn settle_unnamed(&mut self, addr_len: u32) -> Result<(), DecodeError> {
        const { assert!(FAMILY_LEN == 2) };
        let [low, high, first, .., len] = &mut self.bytes;
        if addr_len == 2 && u16::from_ne_bytes([*low, *high]) == AF_UNIX {
            // INVARIANT unnamed.
            *first = 0;
            // INVARIANT len.
            *len = 2;
            return Ok(());
        }
        self.settle_unusual(addr_len as usize)
    }

    #[inline(never)]
    fn settle_unusual(&mut self, addr_len: usize) -> Result<(), DecodeError> {
        let (written, _) = self.bytes.split_at_checked(ADDR_MAX).unwrap_or_default();
        match decode(written, addr_len) {
            Ok(Shape::Pathname(len)) => {
                if let Some(end) = self.sun_path_mut().get_mut(len) {
                    *end = 0;
                }
                self.bytes[LEN] = pathname_len(len);
            }
            Ok(Shape::Abstract(len)) => self.bytes[LEN] = abstract_len(len),
            // Of a sender without a name the kernel writes nothing, not even the family.
            Ok(Shape::Unnamed) => *self = Self::fresh(),
            Err(error) => {
                *self = Self::fresh();
                return Err(error);
            }
        }
        Ok(())
    }
}

/// Where in the storage the length is.
const LEN: usize = FAMILY_LEN + SUN_PATH_LEN + 1;

/// What the kernel is given of a path of `len` bytes: the last one of 108 leaves no room for NUL.
#[inline]
// The value is at most `ADDR_MAX`.
#[allow(clippy::cast_possible_truncation)]
const fn pathname_len(len: usize) -> u8 {
    let len = if len < SUN_PATH_LEN { len } else { SUN_PATH_LEN - 1 };
    len.wrapping_add(FAMILY_LEN + 1) as u8
}

/// What the kernel is given of an abstract name of `len` bytes.
#[inline]
#[allow(clippy::cast_possible_truncation)]
const fn abstract_len(len: usize) -> u8 {
    let len = if len < ABSTRACT_NAME_MAX { len } else { ABSTRACT_NAME_MAX };
    len.wrapping_add(FAMILY_LEN + 1) as u8
}

// SAFETY:
// - readable for the passed length: INVARIANT len keeps it within `bytes`, borrowed for the call.
// - a valid socket address: INVARIANT family, and a `sun_path` that the kernel takes as it is.
unsafe impl SocketAddrArg for UnixAddr {
    #[inline]
    unsafe fn with_sockaddr<R>(
        &self,
        f: impl FnOnce(*const SocketAddrOpaque, SocketAddrLen) -> R,
    ) -> R {
        f(self.bytes.as_ptr().cast(), SocketAddrLen::from(self.bytes[LEN]))
    }
}
