//! The two ways to each call, the method of a type and the free function, behind one trait.

use afunix::{
    AncillaryBuf, AncillaryWriter, AsFd, AsRawFd, BorrowedFd, Errno, Fds, IoSlice, IoSliceMut,
    OwnedFd, RawFd, Received, RecvError, RecvOptions, SendError, SendOptions, Sent,
};

use crate::common::emulated::skip_option;
use crate::common::kinds::{Data, Socket};
use crate::common::passes::Passes;

pub use crate::common::passes::Answer as Got;

/// A connected socket, and the calls that pass descriptors.
pub trait Passing: AsFd + AsRawFd + Send + Sized + Sync {
    const IS_STREAM: bool;
    /// Whether the end of the peer is the end of a connection.
    const CONNECTS: bool;

    fn pair() -> (Self, Self);
    fn set_nonblocking(&self, on: bool);
    fn set_passcred(&self) -> Result<(), Errno>;
    fn set_passpidfd(&self) -> Result<(), Errno>;
    fn put(&self, data: &[u8]) -> Result<usize, Errno>;
    fn get(&self, buf: &mut [u8]) -> Result<usize, Errno>;
    fn send_fds(&self, data: &[u8], fds: &[BorrowedFd<'_>]) -> Result<Sent, SendError>;
    fn recv_fds<const N: usize>(&self, buf: &mut [u8]) -> Result<(Received, Fds<N>), RecvError>;
    fn recv_fds_into<const N: usize>(
        &self,
        buf: &mut [u8],
        fds: &mut Fds<N>,
    ) -> Result<Received, RecvError>;
    fn recv_fds_exact<const N: usize>(
        &self,
        buf: &mut [u8],
    ) -> Result<(Received, [OwnedFd; N]), RecvError>;
    fn send_with(
        &self,
        data: &[IoSlice<'_>],
        ancillary: &AncillaryWriter<'_, '_>,
        options: SendOptions<'_>,
    ) -> Result<Sent, SendError>;
    fn recv_with<'b, const N: usize>(
        &self,
        data: &mut [IoSliceMut<'_>],
        control: &'b mut AncillaryBuf<N>,
        options: RecvOptions<'_>,
    ) -> Got<'b>;

    /// `recv_with` into one piece.
    fn take<'b, const N: usize>(
        &self,
        buf: &mut [u8],
        control: &'b mut AncillaryBuf<N>,
        options: RecvOptions<'_>,
    ) -> Got<'b> {
        self.recv_with(&mut [IoSliceMut::new(buf)], control, options)
    }

    /// A pair whose second has credentials and a pidfd come with each message; `None`, and said so,
    /// where there are no pidfds.
    fn attesting_pair() -> Option<(Self, Self)> {
        let (a, b) = Self::pair();
        b.set_passcred().unwrap();
        match b.set_passpidfd() {
            Err(Errno::NOPROTOOPT) => skip_option("no pidfds with messages before Linux 6.5"),
            answer => {
                answer.unwrap();
                return Some((a, b));
            }
        }
        None
    }
}

impl<T: Passes> Passing for T {
    const IS_STREAM: bool = T::TYPE == libc::SOCK_STREAM;
    const CONNECTS: bool = T::TYPE != libc::SOCK_DGRAM;

    fn pair() -> (Self, Self) {
        T::pair().unwrap()
    }
    fn set_nonblocking(&self, on: bool) {
        Socket::set_nonblocking(self, on).unwrap();
    }
    fn set_passcred(&self) -> Result<(), Errno> {
        Passes::set_passcred(self, true)
    }
    fn set_passpidfd(&self) -> Result<(), Errno> {
        Passes::set_passpidfd(self, true)
    }
    fn put(&self, data: &[u8]) -> Result<usize, Errno> {
        Data::put(self, data)
    }
    fn get(&self, buf: &mut [u8]) -> Result<usize, Errno> {
        Data::get(self, buf)
    }
    fn send_fds(&self, data: &[u8], fds: &[BorrowedFd<'_>]) -> Result<Sent, SendError> {
        Passes::send_fds(self, data, fds)
    }
    fn recv_fds<const N: usize>(&self, buf: &mut [u8]) -> Result<(Received, Fds<N>), RecvError> {
        Passes::recv_fds(self, buf)
    }
    fn recv_fds_into<const N: usize>(
        &self,
        buf: &mut [u8],
        fds: &mut Fds<N>,
    ) -> Result<Received, RecvError> {
        Passes::recv_fds_into(self, buf, fds)
    }
    fn recv_fds_exact<const N: usize>(
        &self,
        buf: &mut [u8],
    ) -> Result<(Received, [OwnedFd; N]), RecvError> {
        Passes::recv_fds_exact(self, buf)
    }
    fn send_with(
        &self,
        data: &[IoSlice<'_>],
        ancillary: &AncillaryWriter<'_, '_>,
        options: SendOptions<'_>,
    ) -> Result<Sent, SendError> {
        Passes::send_with(self, data, ancillary, options)
    }
    fn recv_with<'b, const N: usize>(
        &self,
        data: &mut [IoSliceMut<'_>],
        control: &'b mut AncillaryBuf<N>,
        options: RecvOptions<'_>,
    ) -> Got<'b> {
        Passes::recv_with(self, data, control, options)
    }
}

/// A socket that is known only by its descriptor.
pub struct Free<T>(T);

impl<T: AsFd> AsFd for Free<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl<T: AsRawFd> AsRawFd for Free<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl<T: Passing> Passing for Free<T> {
    const IS_STREAM: bool = T::IS_STREAM;
    const CONNECTS: bool = T::CONNECTS;

    fn pair() -> (Self, Self) {
        let (a, b) = T::pair();
        (Self(a), Self(b))
    }
    fn set_nonblocking(&self, on: bool) {
        self.0.set_nonblocking(on);
    }
    fn set_passcred(&self) -> Result<(), Errno> {
        afunix::set_passcred(self, true)
    }
    fn set_passpidfd(&self) -> Result<(), Errno> {
        afunix::set_passpidfd(self, true)
    }
    fn put(&self, data: &[u8]) -> Result<usize, Errno> {
        self.0.put(data)
    }
    fn get(&self, buf: &mut [u8]) -> Result<usize, Errno> {
        self.0.get(buf)
    }
    fn send_fds(&self, data: &[u8], fds: &[BorrowedFd<'_>]) -> Result<Sent, SendError> {
        afunix::send_fds(self, data, fds)
    }
    fn recv_fds<const N: usize>(&self, buf: &mut [u8]) -> Result<(Received, Fds<N>), RecvError> {
        afunix::recv_fds(self, buf)
    }
    fn recv_fds_into<const N: usize>(
        &self,
        buf: &mut [u8],
        fds: &mut Fds<N>,
    ) -> Result<Received, RecvError> {
        afunix::recv_fds_into(self, buf, fds)
    }
    fn recv_fds_exact<const N: usize>(
        &self,
        buf: &mut [u8],
    ) -> Result<(Received, [OwnedFd; N]), RecvError> {
        afunix::recv_fds_exact(self, buf)
    }
    fn send_with(
        &self,
        data: &[IoSlice<'_>],
        ancillary: &AncillaryWriter<'_, '_>,
        options: SendOptions<'_>,
    ) -> Result<Sent, SendError> {
        afunix::send_with(self, data, ancillary, options)
    }
    fn recv_with<'b, const N: usize>(
        &self,
        data: &mut [IoSliceMut<'_>],
        control: &'b mut AncillaryBuf<N>,
        options: RecvOptions<'_>,
    ) -> Got<'b> {
        afunix::recv_with(self, data, control, options)
    }
}
