//! What goes with data, behind a trait: the methods of the three types that carry some.

use afunix::{
    Ancillary, AncillaryBuf, AncillaryWriter, BorrowedFd, Errno, Fds, IoSlice, IoSliceMut, OwnedFd,
    Received, RecvError, RecvOptions, SendError, SendOptions, Sent, UnixDatagram, UnixSeqpacket,
    UnixStream,
};

use super::kinds::Data;

/// What one receive with a control buffer gives.
pub type Answer<'b> = Result<(Received, Ancillary<'b>), RecvError>;

/// What the three that carry data can do with control messages.
pub trait Passes: Data {
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
    ) -> Answer<'b>;
    fn set_passcred(&self, on: bool) -> Result<(), Errno>;
    fn set_passpidfd(&self, on: bool) -> Result<(), Errno>;
}

macro_rules! impl_passes {
    ($($Type:ident)+) => {
        $(impl Passes for $Type {
            fn send_fds(&self, data: &[u8], fds: &[BorrowedFd<'_>]) -> Result<Sent, SendError> {
                self.send_fds(data, fds)
            }
            fn recv_fds<const N: usize>(
                &self,
                buf: &mut [u8],
            ) -> Result<(Received, Fds<N>), RecvError> {
                self.recv_fds(buf)
            }
            fn recv_fds_into<const N: usize>(
                &self,
                buf: &mut [u8],
                fds: &mut Fds<N>,
            ) -> Result<Received, RecvError> {
                self.recv_fds_into(buf, fds)
            }
            fn recv_fds_exact<const N: usize>(
                &self,
                buf: &mut [u8],
            ) -> Result<(Received, [OwnedFd; N]), RecvError> {
                self.recv_fds_exact(buf)
            }
            fn send_with(
                &self,
                data: &[IoSlice<'_>],
                ancillary: &AncillaryWriter<'_, '_>,
                options: SendOptions<'_>,
            ) -> Result<Sent, SendError> {
                self.send_with(data, ancillary, options)
            }
            fn recv_with<'b, const N: usize>(
                &self,
                data: &mut [IoSliceMut<'_>],
                control: &'b mut AncillaryBuf<N>,
                options: RecvOptions<'_>,
            ) -> Answer<'b> {
                self.recv_with(data, control, options)
            }
            fn set_passcred(&self, on: bool) -> Result<(), Errno> {
                self.set_passcred(on)
            }
            fn set_passpidfd(&self, on: bool) -> Result<(), Errno> {
                self.set_passpidfd(on)
            }
        })+
    };
}

impl_passes!(UnixStream UnixDatagram UnixSeqpacket);
