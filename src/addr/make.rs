//! Making an address: from a path, a name, a text, or what the kernel reported.

use core::str::FromStr;

use super::UnixAddr;
use crate::error::{AddrError, DecodeError};
use crate::wire::addr::{
    SUN_PATH_LEN, Shape, check_abstract_name, check_path_len, copy, decode, interior_nul,
};
use crate::wire::text::{Parsed, parse};

/// # Making an address
impl UnixAddr {
    /// The address of a socket that has none: two bytes of family and nothing else.
    ///
    /// It is what a peer that never called `bind` has. To bind it is an error here; to ask the
    /// kernel for a free name is [`UnixStream::autobind`](crate::UnixStream::autobind) and its
    /// likes.
    pub const UNNAMED: Self = Self::fresh();

    /// Makes the address of a path: 1 to 108 bytes, none of them NUL.
    ///
    /// The path is taken as it stands: relative to the working directory of whoever uses it unless
    /// it begins with `/`, and with nothing special about `@`. A `std::path::Path` gives its bytes by
    /// `path.as_os_str().as_bytes()`, with `std::os::unix::ffi::OsStrExt`; with the feature `std`,
    /// `UnixAddr::try_from(path)` does the same.
    ///
    /// # Errors
    ///
    /// - [`AddrError::EmptyPath`]: to the kernel that would be the abstract name of no bytes.
    /// - [`AddrError::PathTooLong`]: more than 108 bytes.
    /// - [`AddrError::InteriorNul`]: the kernel would cut the path there without a word.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::UnixAddr;
    ///
    /// let addr = UnixAddr::from_pathname(b"/run/log.sock")?;
    /// assert_eq!(addr.as_pathname(), Some(&b"/run/log.sock"[..]));
    /// assert!(UnixAddr::from_pathname(&[b'a'; 108]).is_ok());
    /// assert!(UnixAddr::from_pathname(&[b'a'; 109]).is_err());
    /// # Ok::<(), afunix::AddrError>(())
    /// ```
    ///
    /// A bad constant does not compile:
    ///
    /// ```compile_fail,E0080
    /// # use afunix::UnixAddr;
    /// const CUT: UnixAddr = match UnixAddr::from_pathname(b"/run/\0/cut") {
    ///     Ok(addr) => addr,
    ///     Err(_) => panic!("not a path"),
    /// };
    /// # println!("{CUT}");
    /// ```
    #[inline]
    pub const fn from_pathname(path: &[u8]) -> Result<Self, AddrError> {
        if let Err(error) = check_path_len(path) {
            return Err(error);
        }
        let mut addr = Self::fresh();
        if addr.store_pathname(path) { Ok(addr) } else { Err(interior_nul(path)) }
    }

    /// Makes this the address of a path: [`from_pathname`](Self::from_pathname) in place, which
    /// saves copying the result.
    ///
    /// # Errors
    ///
    /// As `from_pathname`; the address is unchanged then.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::UnixAddr;
    ///
    /// let mut addr = UnixAddr::UNNAMED;
    /// addr.set_pathname(b"/run/a")?;
    /// assert!(addr.set_pathname(b"/run/\0").is_err());
    /// assert_eq!(addr, UnixAddr::from_pathname(b"/run/a")?);
    /// # Ok::<(), afunix::AddrError>(())
    /// ```
    #[inline]
    pub const fn set_pathname(&mut self, path: &[u8]) -> Result<(), AddrError> {
        if let Err(error) = check_path_len(path) {
            return Err(error);
        }
        if self.store_pathname(path) { Ok(()) } else { Err(interior_nul(path)) }
    }

    /// Makes the address of an abstract name: 0 to 107 bytes of any value, without the NUL in
    /// front that marks such a name to the kernel.
    ///
    /// Every byte counts, NUL included: `"a"`, `"a\0"` and `"\0a"` are three names, and `""` is
    /// one too. Abstract names live in the network namespace and are gone with their socket; no
    /// permission guards them, so a client should ask who is there (`SO_PEERCRED`). Linux only.
    ///
    /// # Errors
    ///
    /// [`AddrError::NameTooLong`]: more than 107 bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::UnixAddr;
    ///
    /// let one = UnixAddr::from_abstract_name(b"name")?;
    /// let other = UnixAddr::from_abstract_name(b"name\0")?;
    /// assert_ne!(one, other);
    /// # Ok::<(), afunix::AddrError>(())
    /// ```
    #[inline]
    pub const fn from_abstract_name(name: &[u8]) -> Result<Self, AddrError> {
        if let Err(error) = check_abstract_name(name) {
            return Err(error);
        }
        let mut addr = Self::fresh();
        addr.store_abstract_name(name);
        Ok(addr)
    }

    /// Makes this the address of an abstract name: [`from_abstract_name`](Self::from_abstract_name)
    /// in place.
    ///
    /// # Errors
    ///
    /// As `from_abstract_name`; the address is unchanged then.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::UnixAddr;
    ///
    /// let mut addr = UnixAddr::UNNAMED;
    /// addr.set_abstract_name(b"name")?;
    /// assert_eq!(addr.as_abstract_name(), Some(&b"name"[..]));
    /// # Ok::<(), afunix::AddrError>(())
    /// ```
    #[inline]
    pub const fn set_abstract_name(&mut self, name: &[u8]) -> Result<(), AddrError> {
        if let Err(error) = check_abstract_name(name) {
            return Err(error);
        }
        self.store_abstract_name(name);
        Ok(())
    }

    /// Makes the address of an abstract name that fills `sun_path`, NULs behind it: what programs
    /// bind that pass `sizeof(struct sockaddr_un)` as the length, and HAProxy for `abns@name`.
    ///
    /// # Errors
    ///
    /// [`AddrError::NameTooLong`]: more than 107 bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::UnixAddr;
    ///
    /// let padded = UnixAddr::from_abstract_padded(b"proxy")?;
    /// assert_eq!(padded.addr_len(), 110);
    /// assert_ne!(padded, UnixAddr::from_abstract_name(b"proxy")?);
    /// # Ok::<(), afunix::AddrError>(())
    /// ```
    pub const fn from_abstract_padded(name: &[u8]) -> Result<Self, AddrError> {
        if let Err(error) = check_abstract_name(name) {
            return Err(error);
        }
        let mut addr = Self::fresh();
        let mut padded = [0; SUN_PATH_LEN];
        copy::<false>(&mut padded, name);
        let [padded @ .., _] = &padded;
        addr.store_abstract_name(padded);
        Ok(addr)
    }

    /// Reads an address as systemd, Go and `NOTIFY_SOCKET` write them: `/path`, or `@name` for an
    /// abstract name.
    ///
    /// The text is taken literally. What [`Display`](#impl-Display-for-UnixAddr) prints reads back
    /// as the same address where nothing was escaped.
    ///
    /// # Errors
    ///
    /// - [`AddrError::EmptyText`], [`AddrError::EmptyName`] (`@` alone).
    /// - [`AddrError::NotAbsolute`]: it begins with neither `/` nor `@`.
    /// - [`AddrError::InteriorNul`]: no such text can come from an environment or a file of lines.
    /// - [`AddrError::PathTooLong`], [`AddrError::NameTooLong`]: over 108 and 107 bytes; the `@`
    ///   does not count.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::{AddrKind, UnixAddr};
    ///
    /// assert_eq!(UnixAddr::parse(b"/run/notify")?.kind(), AddrKind::Pathname(b"/run/notify"));
    /// assert_eq!(UnixAddr::parse(b"@notify")?.kind(), AddrKind::Abstract(b"notify"));
    /// assert!(UnixAddr::parse(b"notify").is_err());
    /// # Ok::<(), afunix::AddrError>(())
    /// ```
    pub const fn parse(text: &[u8]) -> Result<Self, AddrError> {
        let mut addr = Self::fresh();
        match parse(text) {
            Ok(Parsed::Pathname(path)) => {
                if let Err(error) = addr.set_pathname(path) {
                    return Err(error);
                }
            }
            Ok(Parsed::Abstract(name)) => addr.store_abstract_name(name),
            Err(error) => return Err(error),
        }
        Ok(addr)
    }

    /// Makes an address of the bytes of a `sockaddr_un`, family first, and the length that the
    /// kernel reported with them.
    ///
    /// Valid lengths are 0 (what `recvmsg` reports of a sender without a name), 2, 3 to 110, and
    /// 111 for a path of 108 bytes, of which 110 bytes suffice. A path ends at its first NUL, as it
    /// does for the kernel; what lies behind is not looked at. An abstract name has no such end.
    ///
    /// # Errors
    ///
    /// - [`DecodeError::Family`]: an address of another family.
    /// - [`DecodeError::Length`]: 1, 112 or more; 111 for anything but a path of 108 bytes, with a
    ///   NUL behind it if there is a byte.
    /// - [`DecodeError::Truncated`]: `bytes` holds fewer than `addr_len`.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::UnixAddr;
    ///
    /// let [low, high] = 1u16.to_ne_bytes();
    /// let reply = [low, high, b'/', b'a', 0, 0xee, 0xee];
    /// assert_eq!(UnixAddr::from_raw(&reply, 5), Ok(UnixAddr::from_pathname(b"/a")?));
    /// assert_eq!(UnixAddr::from_raw(&reply, 2), Ok(UnixAddr::UNNAMED));
    /// assert!(UnixAddr::from_raw(&reply, 50).is_err());
    /// # Ok::<(), afunix::AddrError>(())
    /// ```
    pub const fn from_raw(bytes: &[u8], addr_len: usize) -> Result<Self, DecodeError> {
        let mut addr = Self::fresh();
        match addr.set_raw(bytes, addr_len) {
            Ok(()) => Ok(addr),
            Err(error) => Err(error),
        }
    }

    /// Makes this the address that the kernel reported: [`from_raw`](Self::from_raw) in place.
    ///
    /// # Errors
    ///
    /// As `from_raw`; the address is unchanged then.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::UnixAddr;
    ///
    /// let mut addr = UnixAddr::UNNAMED;
    /// let name = UnixAddr::from_abstract_name(b"name")?;
    /// addr.set_raw(name.as_raw_bytes(), name.addr_len()).unwrap();
    /// assert_eq!(addr, name);
    /// # Ok::<(), afunix::AddrError>(())
    /// ```
    #[inline]
    pub const fn set_raw(&mut self, bytes: &[u8], addr_len: usize) -> Result<(), DecodeError> {
        let shape = match decode(bytes, addr_len) {
            Ok(shape) => shape,
            Err(error) => return Err(error),
        };
        match (shape, bytes) {
            (Shape::Pathname(len), [_, _, sun_path @ ..]) => match sun_path.split_at_checked(len) {
                Some((path, _)) if self.store_pathname(path) => {}
                _ => *self = Self::UNNAMED,
            },
            (Shape::Abstract(len), [_, _, _, sun_path @ ..]) => {
                match sun_path.split_at_checked(len) {
                    Some((name, _)) => self.store_abstract_name(name),
                    None => *self = Self::UNNAMED,
                }
            }
            _ => *self = Self::UNNAMED,
        }
        Ok(())
    }
}

/// [`UnixAddr::parse`] of a string, for what reads arguments and configurations by `FromStr`.
impl FromStr for UnixAddr {
    type Err = AddrError;

    fn from_str(text: &str) -> Result<Self, AddrError> {
        Self::parse(text.as_bytes())
    }
}
