//! What the two types that connect, stream and seqpacket, do alike.

/// Implements connecting and listening; `$Listener` is what the type becomes by `listen`.
macro_rules! impl_connected {
    ($Type:ident, $Listener:ident, $kind:expr) => {
        /// # Connecting and listening
        impl $Type {
            /// Makes a socket that is connected to `addr`. Waits while the backlog there is full.
            ///
            /// # Errors
            ///
            /// - `ECONNREFUSED`: nobody listens there; an abstract name of a socket of another
            ///   type; a file that is no socket.
            /// - `ENOENT`, `ENOTDIR`, `ELOOP`: the path leads nowhere.
            /// - `EACCES`: a directory may not be searched or the file not written.
            /// - `EPROTOTYPE`: at this path is a socket of another type.
            /// - `EINVAL`: the address is unnamed.
            /// - `EINTR`: a signal came while it waited; there is no connection.
            /// - `EAGAIN`: never here; see [`connect_to`](Self::connect_to).
            /// - As [`unbound`](Self::unbound).
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::{", stringify!($Type), ", ", stringify!($Listener), "};")]
            ///
            #[doc = concat!("let (listener, name) = ", stringify!($Listener), "::autobind()?;")]
            #[doc = concat!("let client = ", stringify!($Type), "::connect(&name)?;")]
            /// assert_eq!(client.peer_addr()?, name);
            /// # let _ = listener;
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            ///
            /// See [connect(2)](https://man7.org/linux/man-pages/man2/connect.2.html).
            #[inline(always)]
            pub fn connect(addr: &UnixAddr) -> Result<Self, Errno> {
                open::connected($kind, addr).map(|fd| Self { fd })
            }

            /// Makes a socket with the name `from` that is connected to `to`, so that the peer sees
            /// who it is from the start.
            ///
            /// Where `from` is a path, its file is made by this call, and looked at once more before
            /// it connects; if that fails, the file is removed again, unless something else stands
            /// there by then.
            ///
            /// # Errors
            ///
            /// As [`bind_to`](Self::bind_to) and [`connect`](Self::connect); nothing is left behind.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::{UnixAddr, ", stringify!($Type), ", ", stringify!($Listener), "};")]
            ///
            #[doc = concat!("let (listener, server) = ", stringify!($Listener), "::autobind()?;")]
            /// # let name = format!("afunix-doc-{}-from", std::process::id());
            /// let from = UnixAddr::from_abstract_name(name.as_bytes())?;
            #[doc = concat!("let client = ", stringify!($Type), "::connect_from_to(&from, &server)?;")]
            /// let (_accepted, peer) = listener.accept()?;
            /// assert_eq!(peer, from);
            /// # let _ = client;
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            #[inline]
            pub fn connect_from_to(from: &UnixAddr, to: &UnixAddr) -> Result<Self, Errno> {
                open::connected_from($kind, from, to).map(|fd| Self { fd })
            }

            /// Connects this socket.
            ///
            /// # Errors
            ///
            /// As [`connect`](Self::connect), and:
            ///
            /// - `EAGAIN`: it is non-blocking and the backlog there is full. It is **not** under
            ///   way: call again later. `poll` does not tell when.
            /// - `EISCONN`: it is connected, and the backlog there is not full. `EINVAL`: it listens.
            ///
            /// The socket can be used again after each of them.
            ///
            /// A socket without a name that has `SO_PASSCRED` or `SO_PASSPIDFD` set is given one by this
            /// call, as by [`autobind`](Self::autobind), and even if it fails.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::{", stringify!($Type), ", ", stringify!($Listener), "};")]
            ///
            #[doc = concat!("let (_listener, name) = ", stringify!($Listener), "::autobind()?;")]
            #[doc = concat!("let client = ", stringify!($Type), "::unbound()?;")]
            /// client.set_nonblocking(true)?;
            /// client.connect_to(&name)?;
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            #[inline]
            pub fn connect_to(&self, addr: &UnixAddr) -> Result<(), Errno> {
                rustix::net::connect(borrow(&self.fd), addr)
            }

            /// Makes a listener of this bound socket, for `backlog + 1` pending connections; a
            /// negative number asks for as many as `net.core.somaxconn` allows.
            ///
            /// Nobody can connect before this, so what is done between `bind` and here, such as
            /// setting the file's mode, leaves no gap.
            ///
            /// # Errors
            ///
            /// The socket comes back in the error. `EINVAL`: it has no name, or it is connected.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::", stringify!($Type), ";")]
            ///
            #[doc = concat!("let (socket, name) = ", stringify!($Type), "::autobind()?;")]
            /// let listener = socket.listen(16)?;
            #[doc = concat!("let _client = ", stringify!($Type), "::connect(&name)?;")]
            /// # let _ = listener;
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            ///
            /// See [listen(2)](https://man7.org/linux/man-pages/man2/listen.2.html).
            #[inline]
            pub fn listen(self, backlog: i32) -> Result<$Listener, ListenError<Self>> {
                match rustix::net::listen(borrow(&self.fd), backlog) {
                    Ok(()) => Ok($Listener::from_fd_unchecked(self.fd)),
                    Err(errno) => Err(ListenError::new(errno, self)),
                }
            }
        }
    };
}
pub(super) use impl_connected;
