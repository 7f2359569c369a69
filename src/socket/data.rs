//! What the three types that carry data do alike: coming into being, names, and pairs.

/// Implements making and naming; `$rustix` is rustix's word for the type. `$sequence` says in which order
/// a server is made, `$listen` shows its end.
macro_rules! impl_data {
    ($Type:ident, $kind:expr, $rustix:expr, sequence: $sequence:literal, listen: $listen:literal) => {
        /// # Making and naming
        impl $Type {
            /// Makes two sockets that are connected to each other; neither has a name.
            ///
            /// # Errors
            ///
            /// `EMFILE`, `ENFILE`: no descriptors left for the process or the system. `ENOMEM`.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::", stringify!($Type), ";")]
            ///
            #[doc = concat!("let (parent, child) = ", stringify!($Type), "::pair()?;")]
            /// assert!(parent.peer_addr()?.is_unnamed());
            /// # let _ = child;
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            ///
            /// See [socketpair(2)](https://man7.org/linux/man-pages/man2/socketpair.2.html).
            #[doc(alias = "socketpair")]
            #[inline]
            pub fn pair() -> Result<(Self, Self), Errno> {
                open::pair($rustix).map(|(a, b)| (Self { fd: a }, Self { fd: b }))
            }

            /// Makes a socket that has no name and no peer yet: to be bound, to be connected, or for
            /// options that must be set before either.
            ///
            /// # Errors
            ///
            /// `EMFILE`, `ENFILE`: no descriptors left for the process or the system. `ENOMEM`.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::", stringify!($Type), ";")]
            ///
            #[doc = concat!("let socket = ", stringify!($Type), "::unbound()?;")]
            /// assert!(socket.local_addr()?.is_unnamed());
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            ///
            /// `SOCK_CLOEXEC`, see [socket(2)](https://man7.org/linux/man-pages/man2/socket.2.html).
            #[doc(alias = "socket")]
            #[doc(alias = "SOCK_CLOEXEC")]
            #[inline]
            pub fn unbound() -> Result<Self, Errno> {
                socket($kind).map(|new| Self { fd: new.0 })
            }

            /// Makes a socket with a name.
            ///
            /// # Errors
            ///
            /// As [`bind_to`](Self::bind_to); nothing is left behind.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::{UnixAddr, ", stringify!($Type), "};")]
            ///
            /// # let name = format!("afunix-doc-{}-bind", std::process::id());
            /// let addr = UnixAddr::from_abstract_name(name.as_bytes())?;
            #[doc = concat!("let socket = ", stringify!($Type), "::bind(&addr)?;")]
            /// assert_eq!(socket.local_addr()?, addr);
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            #[inline]
            pub fn bind(addr: &UnixAddr) -> Result<Self, Errno> {
                open::bound($kind, addr).map(|fd| Self { fd })
            }

            /// Makes a socket with an abstract name that the kernel picks, and tells the name: five
            /// hexadecimal digits that no socket of this type in the network namespace has.
            ///
            /// # Errors
            ///
            /// `ENOSPC` if all 2²⁰ of them are taken; else as [`unbound`](Self::unbound).
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::", stringify!($Type), ";")]
            ///
            #[doc = concat!("let (socket, name) = ", stringify!($Type), "::autobind()?;")]
            /// assert_eq!(name.as_abstract_name().map(<[u8]>::len), Some(5));
            /// # let _ = socket;
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            ///
            /// See [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html), "Autobind feature".
            #[inline]
            pub fn autobind() -> Result<(Self, UnixAddr), Errno> {
                open::autobound($kind).map(|(fd, name)| (Self { fd }, name))
            }

            /// Gives this socket a name.
            ///
            /// A path makes a file, whose mode is 0777 less the umask; or, where `fchmod` was called
            /// on this socket before, the mode that was given less the umask, from the first instant.
            /// The file stays when the socket is closed, and must not exist before, not even as a
            /// dangling symbolic link. For exact permissions, a name that an earlier process left, a path of
            /// more than 108 bytes, and a file that is removed in the end, see
            /// [`SocketFile`](crate::SocketFile).
            ///
            /// # Errors
            ///
            /// - `EADDRINUSE`: the name is taken: there is a file, whatever it is, and be it this
            ///   socket's own; or a socket of this type has the abstract name.
            /// - `EINVAL`: the socket has a name already, or the address is unnamed (see
            ///   [`autobind`](Self::autobind)).
            /// - `ENOENT`, `ENOTDIR`, `ELOOP`: the directory is none.
            /// - `EACCES`, `EPERM`, `EROFS`: the directory may not be written.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::{Errno, UnixAddr, ", stringify!($Type), "};")]
            ///
            #[doc = concat!("let socket = ", stringify!($Type), "::unbound()?;")]
            /// # let name = format!("afunix-doc-{}-bind-to", std::process::id());
            /// let addr = UnixAddr::from_abstract_name(name.as_bytes())?;
            /// socket.bind_to(&addr)?;
            /// assert_eq!(socket.bind_to(&addr), Err(Errno::INVAL));
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            ///
            /// See [bind(2)](https://man7.org/linux/man-pages/man2/bind.2.html).
            #[inline]
            pub fn bind_to(&self, addr: &UnixAddr) -> Result<(), Errno> {
                open::bind(borrow(&self.fd), addr)
            }

            /// Gives this socket an abstract name that the kernel picks, and tells the name:
            /// [`autobind`](Self::autobind) for a socket that exists.
            ///
            /// So options can be set before anybody is able to send: what was sent before
            /// [`set_passcred`](Self::set_passcred) comes without its sender's credentials.
            #[doc = $sequence]
            ///
            /// The kernel is asked whether there is a name, told to pick one, and asked which. If another
            /// thread names the socket at the same time, that name may be the answer.
            ///
            /// # Errors
            ///
            /// - `EINVAL`: the socket has a name already, and keeps it. (The kernel does not
            ///   mind: see [`bind_to`](Self::bind_to), which it refuses.)
            /// - `ENOSPC`: all 2²⁰ of them are taken. `ENOMEM`.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::{Errno, ", stringify!($Type), "};")]
            ///
            #[doc = concat!("let socket = ", stringify!($Type), "::unbound()?;")]
            /// socket.set_passcred(true)?;
            /// let name = socket.autobind_to()?;
            /// assert_eq!(socket.local_addr()?, name);
            /// assert_eq!(socket.autobind_to(), Err(Errno::INVAL));
            #[doc = $listen]
            /// // Now, and not before, others can send: each message tells by whom.
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            ///
            /// See [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html), "Autobind feature".
            #[doc(alias = "bind")]
            #[inline]
            pub fn autobind_to(&self) -> Result<UnixAddr, Errno> {
                open::autobind(borrow(&self.fd))
            }

            /// The address of the peer; unnamed if it has none. It stays when the peer is gone.
            ///
            /// # Errors
            ///
            /// `ENOTCONN`: there is no peer.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::{Errno, ", stringify!($Type), "};")]
            ///
            #[doc = concat!("let socket = ", stringify!($Type), "::unbound()?;")]
            /// assert_eq!(socket.peer_addr(), Err(Errno::NOTCONN));
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            ///
            /// See [getpeername(2)](https://man7.org/linux/man-pages/man2/getpeername.2.html).
            #[doc(alias = "getpeername")]
            #[inline]
            pub fn peer_addr(&self) -> Result<UnixAddr, Errno> {
                let mut name = UnixAddr::UNNAMED;
                self.peer_addr_into(&mut name)?;
                Ok(name)
            }

            /// Writes the address of the peer into `name`: [`peer_addr`](Self::peer_addr) without
            /// a copy.
            ///
            /// # Errors
            ///
            /// As `peer_addr`; `name` is as it was then (but see
            /// [`from_fd_unchecked`](Self::from_fd_unchecked)).
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::{UnixAddr, ", stringify!($Type), "};")]
            ///
            #[doc = concat!("let (a, b) = ", stringify!($Type), "::pair()?;")]
            /// let mut name = UnixAddr::UNNAMED;
            /// a.peer_addr_into(&mut name)?;
            /// assert!(name.is_unnamed());
            /// # let _ = b;
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            #[inline]
            pub fn peer_addr_into(&self, name: &mut UnixAddr) -> Result<(), Errno> {
                getpeername(borrow(&self.fd), name)
            }
        }
    };
}
pub(super) use impl_data;
