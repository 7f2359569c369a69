//! Sockets from and to std's.

use std::os::unix::net;

use crate::OwnedFd;
use crate::socket::{UnixDatagram, UnixListener, UnixStream};

/// Implements both directions between one of our types and std's of the same name.
macro_rules! impl_both {
    ($($Type:ident),+) => {$(
        /// Takes std's socket over; no system call is made. With the feature `std`.
        ///
        /// Flags, close-on-exec included, and timeouts stay as they are: they belong to the
        /// descriptor and to the socket. That it is this kind of socket is taken from its type; for
        /// one that std was given as a bare descriptor, `TryFrom<OwnedFd>` asks the kernel.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = concat!("use std::os::unix::net::", stringify!($Type), ";")]
        ///
        #[doc = concat!("fn take(socket: ", stringify!($Type), ") -> afunix::", stringify!($Type), " {")]
        ///     socket.into()
        /// }
        /// # let _ = take;
        /// ```
        impl From<net::$Type> for $Type {
            #[inline]
            fn from(socket: net::$Type) -> Self {
                Self::from_fd_unchecked(OwnedFd::from(socket))
            }
        }

        /// Makes std's socket of this one, for a crate that wants one; no system call is made. With
        /// the feature `std`.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = concat!("use afunix::", stringify!($Type), ";")]
        ///
        #[doc = concat!("let (socket, _name) = ", stringify!($Type), "::autobind()?;")]
        #[doc = concat!("let socket = std::os::unix::net::", stringify!($Type), "::from(socket);")]
        #[doc = concat!("let again: ", stringify!($Type), " = socket.try_clone()?.into();")]
        /// # let _ = again;
        /// # Ok::<(), std::io::Error>(())
        /// ```
        impl From<$Type> for net::$Type {
            #[inline]
            fn from(socket: $Type) -> Self {
                OwnedFd::from(socket).into()
            }
        }
    )+};
}

impl_both!(UnixStream, UnixListener, UnixDatagram);
