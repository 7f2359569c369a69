//! The functions of this module as methods of the socket types.

use super::{
    RecvOptions, SendOptions, Sent, passcred, passpidfd, recv_fds_exact_from, recv_fds_from,
    recv_from, send_fds_to, send_to, set_passcred, set_passpidfd,
};
use crate::ancillary::{Ancillary, AncillaryBuf, AncillaryWriter, Fds};
use crate::error::{RecvError, SendError};
use crate::socket::{
    Received, UnixDatagram, UnixListener, UnixSeqpacket, UnixSeqpacketListener, UnixStream,
};
use crate::sys::fds::FdsRoom;
use crate::sys::socket::Kind;
use crate::{AsFd, BorrowedFd, Errno, IoSlice, IoSliceMut, OwnedFd};

/// Implements what the three types do that carry data.
macro_rules! impl_messages {
    ($Type:ident, $kind:expr) => {
        /// # Descriptors and other control messages
        impl $Type {
            /// Sends data with descriptors, which the receiver gets duplicates of: see
            /// [`send_fds`](crate::send_fds), which this is without its question for the type.
            ///
            /// # Errors
            ///
            /// As there.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::{AsFd, ", stringify!($Type), "};")]
            ///
            #[doc = concat!("let (a, b) = ", stringify!($Type), "::pair()?;")]
            /// let sent = a.send_fds(b"myself", &[a.as_fd()])?;
            /// assert_eq!(sent.bytes, 6);
            /// # drop(b);
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            #[doc(alias = "SCM_RIGHTS")]
            #[inline]
            pub fn send_fds(&self, data: &[u8], fds: &[BorrowedFd<'_>]) -> Result<Sent, SendError> {
                send_fds_to(self.as_fd(), Some($kind), data, fds)
            }

            /// Receives data and at most `N` descriptors: see [`recv_fds`](crate::recv_fds).
            ///
            /// # Errors
            ///
            /// As there.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::{AsFd, ", stringify!($Type), "};")]
            ///
            #[doc = concat!("let (a, b) = ", stringify!($Type), "::pair()?;")]
            /// a.send_fds(b"both", &[a.as_fd(), b.as_fd()])?;
            /// let mut buf = [0; 16];
            /// let (received, fds) = b.recv_fds::<4>(&mut buf)?;
            /// assert_eq!((received.bytes, fds.len()), (4, 2));
            /// for fd in fds {
            ///     println!("{fd:?}"); // an `OwnedFd`
            /// }
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            #[doc(alias = "SCM_RIGHTS")]
            #[inline(always)]
            pub fn recv_fds<const N: usize>(
                &self,
                buf: &mut [u8],
            ) -> Result<(Received, Fds<N>), RecvError> {
                let mut room = FdsRoom::<N>::new();
                let (received, arrived) =
                    recv_fds_from(self.as_fd(), Some($kind), buf, &mut room)?;
                Ok((received, Fds::of(arrived)))
            }

            /// Receives data and at most `N` descriptors into `fds`: see
            /// [`recv_fds_into`](crate::recv_fds_into).
            ///
            /// # Errors
            ///
            /// As there.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::{AsFd, Fds, ", stringify!($Type), "};")]
            ///
            #[doc = concat!("let (a, b) = ", stringify!($Type), "::pair()?;")]
            /// a.send_fds(b"both", &[a.as_fd(), b.as_fd()])?;
            /// let mut fds = Fds::<4>::new();
            /// let received = b.recv_fds_into(&mut [0; 16], &mut fds)?;
            /// assert_eq!((received.bytes, fds.len()), (4, 2));
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            #[doc(alias = "SCM_RIGHTS")]
            #[inline]
            pub fn recv_fds_into<const N: usize>(
                &self,
                buf: &mut [u8],
                fds: &mut Fds<N>,
            ) -> Result<Received, RecvError> {
                let mut room = FdsRoom::<N>::new();
                let (received, arrived) =
                    recv_fds_from(self.as_fd(), Some($kind), buf, &mut room)?;
                fds.take_over(arrived);
                Ok(received)
            }

            /// Receives data and exactly `N` descriptors: see
            /// [`recv_fds_exact`](crate::recv_fds_exact).
            ///
            /// # Errors
            ///
            /// As there.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::{AsFd, ", stringify!($Type), "};")]
            ///
            #[doc = concat!("let (a, b) = ", stringify!($Type), "::pair()?;")]
            /// a.send_fds(b"both", &[a.as_fd(), b.as_fd()])?;
            /// let (_, [first, second]) = b.recv_fds_exact::<2>(&mut [0; 16])?;
            /// # let _ = (first, second);
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            #[inline]
            pub fn recv_fds_exact<const N: usize>(
                &self,
                buf: &mut [u8],
            ) -> Result<(Received, [OwnedFd; N]), RecvError> {
                recv_fds_exact_from(self.as_fd(), Some($kind), buf)
            }

            /// Sends data from several pieces, with any control messages, to the peer or to an address,
            /// waiting or not: see [`send_with`](crate::send_with), which this is without its
            /// question for the type.
            ///
            /// # Errors
            ///
            /// As there.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::{AncillaryBuf, AsFd, IoSlice, SendOptions, Space, ", stringify!($Type), "};")]
            ///
            #[doc = concat!("let (a, b) = ", stringify!($Type), "::pair()?;")]
            /// let mut buf = AncillaryBuf::<{ Space::new().rights::<1>().bytes() }>::new();
            /// let mut writer = buf.writer();
            /// writer.push_fds(&[a.as_fd()])?;
            /// let data = [IoSlice::new(b"head"), IoSlice::new(b"body")];
            /// let sent = a.send_with(&data, &writer, SendOptions::new().nonblocking())?;
            /// assert_eq!(sent.bytes, 8);
            /// # drop(b);
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            #[doc(alias = "sendmsg")]
            #[inline]
            pub fn send_with(
                &self,
                data: &[IoSlice<'_>],
                ancillary: &AncillaryWriter<'_, '_>,
                options: SendOptions<'_>,
            ) -> Result<Sent, SendError> {
                send_to(self.as_fd(), Some($kind), data, ancillary, options)
            }

            /// Receives data into several pieces, with all its control messages and, if asked for, its
            /// sender's address: see [`recv_with`](crate::recv_with), which this is without its
            /// question for the type.
            ///
            /// # Errors
            ///
            /// As there.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::{AncillaryBuf, IoSliceMut, RecvOptions, Space, ", stringify!($Type), "};")]
            ///
            #[doc = concat!("let (a, b) = ", stringify!($Type), "::pair()?;")]
            /// b.set_passcred(true)?;
            /// a.send_fds(b"who?", &[])?;
            ///
            /// let mut control = AncillaryBuf::<{ Space::new().credentials().bytes() }>::new();
            /// let mut buf = [0; 16];
            /// let data = &mut [IoSliceMut::new(&mut buf)];
            /// let (_, ancillary) = b.recv_with(data, &mut control, RecvOptions::new())?;
            /// println!("{}", ancillary.credentials().expect("SO_PASSCRED is on"));
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            #[doc(alias = "recvmsg")]
            #[inline]
            pub fn recv_with<'b, const N: usize>(
                &self,
                data: &mut [IoSliceMut<'_>],
                control: &'b mut AncillaryBuf<N>,
                options: RecvOptions<'_>,
            ) -> Result<(Received, Ancillary<'b>), RecvError> {
                recv_from(self.as_fd(), Some($kind), data, control.room(), options)
            }
        }
    };
}

impl_messages!(UnixStream, Kind::Stream);
impl_messages!(UnixDatagram, Kind::Datagram);
impl_messages!(UnixSeqpacket, Kind::Seqpacket);

/// Implements what all five do: a listener passes the options on to what it accepts.
macro_rules! impl_options {
    ($Type:ident, made: $made:expr) => {
        /// # What comes with each message
        impl $Type {
            /// Whether credentials come with each message: see
            /// [`set_passcred`](Self::set_passcred).
            ///
            /// # Errors
            ///
            /// None that Linux is known to give.
            ///
            /// # Examples
            ///
            /// See `set_passcred`.
            #[doc(alias = "SO_PASSCRED")]
            #[inline]
            pub fn passcred(&self) -> Result<bool, Errno> {
                passcred(self)
            }

            /// Chooses whether the sender's credentials come with each message: see
            /// [`set_passcred`](crate::set_passcred).
            ///
            /// # Errors
            ///
            /// None that Linux is known to give.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::", stringify!($Type), ";")]
            ///
            #[doc = $made]
            /// socket.set_passcred(true)?;
            /// assert!(socket.passcred()?);
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            #[doc(alias = "SO_PASSCRED")]
            #[inline]
            pub fn set_passcred(&self, on: bool) -> Result<(), Errno> {
                set_passcred(self, on)
            }

            /// Whether a pidfd comes with each message: see
            /// [`set_passpidfd`](Self::set_passpidfd).
            ///
            /// # Errors
            ///
            /// `ENOPROTOOPT`: the kernel is older than Linux 6.5.
            ///
            /// # Examples
            ///
            /// See `set_passpidfd`.
            #[doc(alias = "SO_PASSPIDFD")]
            #[inline]
            pub fn passpidfd(&self) -> Result<bool, Errno> {
                passpidfd(self)
            }

            /// Chooses whether a pidfd of the sender comes with each message: see
            /// [`set_passpidfd`](crate::set_passpidfd).
            ///
            /// # Errors
            ///
            /// `ENOPROTOOPT`: the kernel is older than Linux 6.5.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::", stringify!($Type), ";")]
            ///
            #[doc = $made]
            /// match socket.set_passpidfd(true) {
            ///     Err(afunix::Errno::NOPROTOOPT) => println!("too old a kernel"),
            ///     result => result?,
            /// }
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            #[doc(alias = "SO_PASSPIDFD")]
            #[inline]
            pub fn set_passpidfd(&self, on: bool) -> Result<(), Errno> {
                set_passpidfd(self, on)
            }
        }
    };
}

impl_options!(UnixStream, made: "let socket = UnixStream::unbound()?;");
impl_options!(UnixDatagram, made: "let socket = UnixDatagram::unbound()?;");
impl_options!(UnixSeqpacket, made: "let socket = UnixSeqpacket::unbound()?;");
impl_options!(UnixListener, made: "let (socket, _name) = UnixListener::autobind()?;");
impl_options!(UnixSeqpacketListener,
    made: "let (socket, _name) = UnixSeqpacketListener::autobind()?;");
