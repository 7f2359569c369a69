//! What all five types do alike.

/// Implements adopting, lending, giving away, and what every socket can be asked.
macro_rules! impl_socket {
    ($Type:ident, $kind:expr, listens: $listens:literal, made: $made:literal) => {
        /// # Any socket
        impl $Type {
            /// Takes a descriptor without asking the kernel what it is.
            ///
            /// For programs whose seccomp filter forbids the three `getsockopt` calls that
            /// `TryFrom<OwnedFd>` makes. If it is another kind of socket, or none, its calls fail
            /// with the kernel's errno; an address of another family is `EAFNOSUPPORT`, with which a
            /// connection that was accepted is closed, a message that was received is lost, and an
            /// address that was to be filled is unnamed.
            ///
            /// The descriptor's flags stay as they are, close-on-exec included.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::{OwnedFd, ", stringify!($Type), "};")]
            ///
            #[doc = $made]
            /// let fd = OwnedFd::from(socket);
            #[doc = concat!("let socket = ", stringify!($Type), "::from_fd_unchecked(fd);")]
            /// # let _ = socket;
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            #[doc(alias = "from_raw_fd")]
            #[inline(always)]
            #[must_use]
            pub const fn from_fd_unchecked(fd: OwnedFd) -> Self {
                Self { fd }
            }

            /// The address that this socket is bound to; unnamed if to none.
            ///
            /// For a path it is the very string that `bind` was given, whatever became of the
            /// file since.
            ///
            /// # Errors
            ///
            /// `ENOBUFS` for want of memory, as `getsockname(2)` has it; not seen on Linux.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::", stringify!($Type), ";")]
            ///
            #[doc = concat!("let (socket, name) = ", stringify!($Type), "::autobind()?;")]
            /// assert_eq!(socket.local_addr()?, name);
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            ///
            /// See [getsockname(2)](https://man7.org/linux/man-pages/man2/getsockname.2.html).
            #[doc(alias = "getsockname")]
            #[inline]
            pub fn local_addr(&self) -> Result<UnixAddr, Errno> {
                let mut name = UnixAddr::UNNAMED;
                self.local_addr_into(&mut name)?;
                Ok(name)
            }

            /// Writes the address that this socket is bound to into `name`:
            /// [`local_addr`](Self::local_addr) without a copy.
            ///
            /// # Errors
            ///
            /// As `local_addr`; `name` is as it was then (but see
            /// [`from_fd_unchecked`](Self::from_fd_unchecked)).
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::{UnixAddr, ", stringify!($Type), "};")]
            ///
            #[doc = concat!("let (socket, name) = ", stringify!($Type), "::autobind()?;")]
            /// let mut same = UnixAddr::UNNAMED;
            /// socket.local_addr_into(&mut same)?;
            /// assert_eq!(same, name);
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            #[inline(always)]
            pub fn local_addr_into(&self, name: &mut UnixAddr) -> Result<(), Errno> {
                getsockname(borrow(&self.fd), name)
            }

            /// Chooses whether calls that would have to wait fail with `EAGAIN` instead.
            ///
            /// The flag belongs to the open socket, not to the descriptor: whoever holds a
            /// duplicate, in another process too, is affected.
            ///
            /// # Errors
            ///
            /// None that Linux is known to give for a socket.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::", stringify!($Type), ";")]
            ///
            #[doc = $made]
            /// socket.set_nonblocking(true)?;
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            ///
            /// `FIONBIO`, see [ioctl(2)](https://man7.org/linux/man-pages/man2/ioctl.2.html).
            #[doc(alias = "O_NONBLOCK")]
            #[doc(alias = "FIONBIO")]
            #[inline]
            pub fn set_nonblocking(&self, nonblocking: bool) -> Result<(), Errno> {
                rustix::io::ioctl_fionbio(borrow(&self.fd), nonblocking)
            }

            /// Takes the error that is pending on this socket, if there is one.
            ///
            /// Each is reported once, here or by the next call. It is `ECONNRESET`: the peer of a
            /// connection closed with data of ours unread, or that of a datagram socket turned to
            /// another and dropped messages of ours.
            ///
            /// # Errors
            ///
            /// `EPROTO` for an answer that is not the kernel's. (The pending error is the `Ok`.)
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::", stringify!($Type), ";")]
            ///
            #[doc = $made]
            /// assert_eq!(socket.take_error()?, None);
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            ///
            /// `SO_ERROR`, see [socket(7)](https://man7.org/linux/man-pages/man7/socket.7.html).
            #[doc(alias = "SO_ERROR")]
            #[inline]
            pub fn take_error(&self) -> Result<Option<Errno>, Errno> {
                sockopt::take_error(borrow(&self.fd))
            }

            /// Ends reading, writing or both, for everyone who holds this socket.
            ///
            /// What is queued stays readable. After [`Shutdown::Write`] the peer of a connection
            /// reads to the end and then gets 0 bytes; after [`Shutdown::Read`] its sends are
            /// `EPIPE`, and a receive here that would wait gives 0 bytes (for datagrams only if it
            /// is blocking). A listener that is shut for reading accepts what is queued, then fails with
            /// `EINVAL` (while no descriptor is free: with `EMFILE`), and new connections are refused.
            /// A `connect` that waits for a place there goes on waiting until the listener closes.
            ///
            /// # Errors
            ///
            /// None that Linux is known to give: an unconnected socket may be shut down too.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::{Shutdown, ", stringify!($Type), "};")]
            ///
            #[doc = $made]
            /// socket.shutdown(Shutdown::Both)?;
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            ///
            /// See [shutdown(2)](https://man7.org/linux/man-pages/man2/shutdown.2.html).
            #[inline]
            pub fn shutdown(&self, how: Shutdown) -> Result<(), Errno> {
                rustix::net::shutdown(borrow(&self.fd), how)
            }
        }

        /// Lends the descriptor, for polling and for calls of other crates.
        impl AsFd for $Type {
            #[inline]
            fn as_fd(&self) -> BorrowedFd<'_> {
                borrow(&self.fd)
            }
        }

        impl AsRawFd for $Type {
            #[inline]
            fn as_raw_fd(&self) -> RawFd {
                self.fd.as_raw_fd()
            }
        }

        /// Gives the descriptor away as a number, which is then yours to close.
        impl IntoRawFd for $Type {
            #[inline]
            fn into_raw_fd(self) -> RawFd {
                self.fd.into_raw_fd()
            }
        }

        /// Gives the descriptor away; no system call is made.
        impl From<$Type> for OwnedFd {
            #[inline]
            fn from(socket: $Type) -> Self {
                socket.fd
            }
        }

        /// Takes a descriptor if it is just this kind of socket: family, type, and whether it
        /// listens. It is not changed: close-on-exec and non-blocking stay as they are.
        ///
        /// On a refusal the descriptor comes back open, with the reason:
        /// [`AdoptError`](crate::AdoptError).
        ///
        /// # Examples
        ///
        /// One that a service manager passed to this process, which knows it by its number only:
        ///
        /// ```no_run
        #[doc = concat!("use afunix::{FromRawFd, OwnedFd, ", stringify!($Type), "};")]
        ///
        /// // SAFETY: 3 was passed to this process, and nothing else in it has taken it yet.
        /// let fd = unsafe { OwnedFd::from_raw_fd(3) };
        #[doc = concat!("let socket = ", stringify!($Type), "::try_from(fd).map_err(|refused| refused.reason())?;")]
        /// # let _ = socket;
        /// # Ok::<(), afunix::WrongSocket>(())
        /// ```
        impl TryFrom<OwnedFd> for $Type {
            type Error = AdoptError;

            fn try_from(fd: OwnedFd) -> Result<Self, AdoptError> {
                open::adopt(fd, $kind, $listens).map(|fd| Self { fd })
            }
        }
    };
}
pub(super) use impl_socket;
