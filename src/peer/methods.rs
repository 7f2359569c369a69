//! The functions of this module as methods of the socket types.

use super::{
    Peer, PeerCredentials, credentials_of, peer, peer_groups, peer_pidfd, peer_security_context,
};
use crate::addr::UnixAddr;
use crate::cred::PidFd;
use crate::error::PeerError;
use crate::socket::{UnixDatagram, UnixListener, UnixSeqpacket, UnixSeqpacketListener, UnixStream};
use crate::sys::fd::{Opened, borrow};
use crate::sys::socket::accept;
use crate::{AsFd, Gid};

/// Implements what the three types are asked that have a peer.
macro_rules! impl_peer {
    ($Type:ident) => {
        /// # Who is at the other end
        impl $Type {
            /// Who made the connection: see [`peer_credentials`](crate::peer_credentials).
            ///
            /// # Errors
            ///
            /// As there.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::", stringify!($Type), ";")]
            ///
            #[doc = concat!("let (a, _b) = ", stringify!($Type), "::pair()?;")]
            /// a.peer_credentials()?.require_same_user()?;
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            #[doc(alias = "SO_PEERCRED")]
            #[inline]
            pub fn peer_credentials(&self) -> Result<PeerCredentials, PeerError> {
                credentials_of(self.as_fd())
            }

            /// A handle to the process that made the connection: see
            /// [`peer_pidfd`](crate::peer_pidfd).
            ///
            /// # Errors
            ///
            /// As there.
            ///
            /// # Examples
            ///
            /// See [`Peer`].
            #[doc(alias = "SO_PEERPIDFD")]
            #[inline]
            pub fn peer_pidfd(&self) -> Result<PidFd, PeerError> {
                peer_pidfd(self)
            }

            /// Who made the connection, with a handle to the process: see [`Peer`].
            ///
            /// # Errors
            ///
            /// As [`peer`](crate::peer()).
            ///
            /// # Examples
            ///
            /// See [`Peer`].
            #[doc(alias = "SO_PEERPIDFD")]
            #[doc(alias = "SO_PEERCRED")]
            #[inline]
            pub fn peer(&self) -> Result<Peer, PeerError> {
                peer(self)
            }

            /// The supplementary groups of who made the connection: see
            /// [`peer_groups`](crate::peer_groups).
            ///
            /// # Errors
            ///
            /// As there.
            ///
            /// # Examples
            ///
            /// See there.
            #[doc(alias = "SO_PEERGROUPS")]
            #[inline]
            pub fn peer_groups<'b>(&self, buf: &'b mut [Gid]) -> Result<&'b [Gid], PeerError> {
                peer_groups(self, buf)
            }

            /// The security context of who made the connection: see
            /// [`peer_security_context`](crate::peer_security_context).
            ///
            /// # Errors
            ///
            /// As there.
            ///
            /// # Examples
            ///
            /// See there.
            #[doc(alias = "SO_PEERSEC")]
            #[inline]
            pub fn peer_security_context<'b>(
                &self,
                buf: &'b mut [u8],
            ) -> Result<&'b [u8], PeerError> {
                peer_security_context(self, buf)
            }
        }
    };
}

impl_peer!(UnixStream);
impl_peer!(UnixDatagram);
impl_peer!(UnixSeqpacket);

/// Implements accepting with who it was.
macro_rules! impl_accept_peer {
    ($Type:ident, $Connection:ident) => {
        /// # Who is at the other end
        impl $Type {
            /// Takes the connection that waited longest, with the address of the peer and who it is:
            /// [`accept`](Self::accept) and
            #[doc = concat!("[`peer_credentials`](crate::", stringify!($Connection), "::peer_credentials).")]
            ///
            /// # Errors
            ///
            /// [`PeerError::Accept`], with what `accept` gives; and what `peer_credentials` gives, with
            /// which the connection is closed.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::{", stringify!($Type), ", ", stringify!($Connection), "};")]
            ///
            #[doc = concat!("let (listener, name) = ", stringify!($Type), "::autobind()?;")]
            #[doc = concat!("let _client = ", stringify!($Connection), "::connect(&name)?;")]
            /// let (connection, from, client) = listener.accept_peer()?;
            /// match client.require_same_user() {
            ///     Ok(()) => println!("{from} is welcome"),
            ///     Err(refused) => println!("{from} is not: {refused}"),
            /// }
            /// # let _ = connection;
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            #[doc(alias = "accept4")]
            #[doc(alias = "SO_PEERCRED")]
            #[inline]
            pub fn accept_peer(
                &self,
            ) -> Result<($Connection, UnixAddr, PeerCredentials), PeerError> {
                let mut from = UnixAddr::UNNAMED;
                let (connection, peer) = self.accept_peer_into(&mut from)?;
                Ok((connection, from, peer))
            }

            /// Takes the connection that waited longest, with who the peer is, and writes its address
            /// into `from`: [`accept_peer`](Self::accept_peer) without a copy.
            ///
            /// # Errors
            ///
            /// As `accept_peer`. Where `accept` failed `from` is as it was.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::{UnixAddr, ", stringify!($Type), ", ", stringify!($Connection), "};")]
            ///
            #[doc = concat!("let (listener, name) = ", stringify!($Type), "::autobind()?;")]
            #[doc = concat!("let _client = ", stringify!($Connection), "::connect(&name)?;")]
            /// let mut from = UnixAddr::UNNAMED;
            /// let (connection, client) = listener.accept_peer_into(&mut from)?;
            /// assert!(client.pid.is_some());
            /// # let _ = connection;
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            #[doc(alias = "accept4")]
            #[doc(alias = "SO_PEERCRED")]
            #[inline(always)]
            pub fn accept_peer_into(
                &self,
                from: &mut UnixAddr,
            ) -> Result<($Connection, PeerCredentials), PeerError> {
                match accept(self.as_fd(), from) {
                    Ok(Opened(fd)) => match credentials_of(borrow(&fd)) {
                        Ok(peer) => Ok(($Connection::from_fd_unchecked(fd), peer)),
                        Err(error) => Err(error),
                    },
                    Err(errno) => Err(PeerError::Accept(errno)),
                }
            }
        }
    };
}

impl_accept_peer!(UnixListener, UnixStream);
impl_accept_peer!(UnixSeqpacketListener, UnixSeqpacket);
