//! Descriptors that were received, in a container of fixed capacity.

use heapless::Vec;

use crate::sys::control::Arrived;
use crate::sys::fd::borrow;
use crate::sys::fds::Front;
use crate::{BorrowedFd, OwnedFd};

/// At most `N` descriptors that were received, in the order they were sent in: see
/// [`recv_fds`](crate::recv_fds).
///
/// It closes on drop what was not taken. What came beyond `N` has been closed already, and is counted:
/// [`surplus`](Self::surplus).
///
/// # Examples
///
/// ```
/// use afunix::{AsFd, AsRawFd, UnixDatagram};
///
/// let (a, b) = UnixDatagram::pair()?;
/// a.send_fds(b"two", &[a.as_fd(), b.as_fd()]).unwrap();
/// let (_, fds) = b.recv_fds::<4>(&mut [0; 16]).unwrap();
/// assert_eq!((fds.len(), fds.surplus()), (2, 0));
/// assert!(fds.iter().all(|fd| fd.as_raw_fd() > 2));
///
/// // All of them, or the container back.
/// let [first, second] = fds.into_array::<2>().unwrap();
/// # let _ = (first, second);
/// # Ok::<(), afunix::Errno>(())
/// ```
#[doc(alias = "SCM_RIGHTS")]
#[derive(Debug)]
#[must_use = "what is not taken is closed"]
pub struct Fds<const N: usize> {
    fds: Vec<OwnedFd, N>,
    surplus: usize,
}

impl<const N: usize> Fds<N> {
    /// Holds none.
    ///
    /// # Examples
    ///
    /// See [`recv_fds_into`](crate::recv_fds_into).
    #[inline]
    pub const fn new() -> Self {
        Self { fds: Vec::new(), surplus: 0 }
    }

    /// Takes over what came.
    #[inline(always)]
    pub(crate) fn of(arrived: Arrived<'_>) -> Self {
        let mut fds = Vec::new();
        let surplus = arrived.into_rights(&mut fds);
        Self { fds, surplus }
    }

    /// Takes over what came, in place of what is here, which is closed.
    #[inline]
    pub(crate) fn take_over(&mut self, arrived: Arrived<'_>) {
        self.fds.clear();
        self.surplus = arrived.into_rights(&mut self.fds);
    }

    /// How many there are.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (a, b) = afunix::UnixStream::pair()?;
    /// a.write(b"no descriptors")?;
    /// let (_, fds) = b.recv_fds::<4>(&mut [0; 16])?;
    /// assert_eq!(fds.len(), 0);
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.fds.len()
    }

    /// Whether there is none.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (a, b) = afunix::UnixStream::pair()?;
    /// a.write(b"no descriptors")?;
    /// let (_, fds) = b.recv_fds::<4>(&mut [0; 16])?;
    /// assert!(fds.is_empty());
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fds.is_empty()
    }

    /// How many came beyond `N`, and have been closed: at most 14, for that is how much room there
    /// is for other messages; of yet more, the receive is
    /// [`ControlTruncated`](crate::RecvError::ControlTruncated).
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::AsFd;
    /// # let (a, b) = afunix::UnixStream::pair()?;
    /// a.send_fds(b"x", &[a.as_fd(), b.as_fd()])?;
    /// let (_, fds) = b.recv_fds::<1>(&mut [0; 16])?;
    /// assert_eq!((fds.len(), fds.surplus()), (1, 1));
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn surplus(&self) -> usize {
        self.surplus
    }

    /// Lends one, counted from 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::AsFd;
    /// # let (a, b) = afunix::UnixStream::pair()?;
    /// a.send_fds(b"x", &[b.as_fd()])?;
    /// let (_, fds) = b.recv_fds::<4>(&mut [0; 16])?;
    /// assert!(fds.get(0).is_some() && fds.get(1).is_none());
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn get(&self, index: usize) -> Option<BorrowedFd<'_>> {
        self.fds.get(index).map(borrow)
    }

    /// Lends each.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::AsFd;
    /// # let (a, b) = afunix::UnixStream::pair()?;
    /// a.send_fds(b"x", &[a.as_fd(), b.as_fd()])?;
    /// let (_, fds) = b.recv_fds::<4>(&mut [0; 16])?;
    /// // On to the next receiver.
    /// for fd in fds.iter() {
    ///     b.send_fds(b"x", &[fd])?;
    /// }
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    #[inline]
    pub fn iter(&self) -> FdsIter<'_> {
        FdsIter { fds: self.fds.iter() }
    }

    /// All of them, if there are just `M`; else they come back.
    ///
    /// # Errors
    ///
    /// The container as it was, if it holds another number.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::AsFd;
    /// # let (a, b) = afunix::UnixStream::pair()?;
    /// a.send_fds(b"x", &[b.as_fd()])?;
    /// let (_, fds) = b.recv_fds::<4>(&mut [0; 16])?;
    /// let fds = fds.into_array::<2>().unwrap_err();
    /// let [one] = fds.into_array::<1>().unwrap();
    /// # drop(one);
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    #[inline]
    pub fn into_array<const M: usize>(self) -> Result<[OwnedFd; M], Self> {
        let surplus = self.surplus;
        self.fds.into_array().map_err(|fds| Self { fds, surplus })
    }
}

impl<const N: usize> Default for Fds<N> {
    #[inline]
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> IntoIterator for Fds<N> {
    type Item = OwnedFd;
    type IntoIter = FdsIntoIter<N>;

    #[inline]
    fn into_iter(self) -> FdsIntoIter<N> {
        FdsIntoIter { fds: Front::new(self.fds) }
    }
}

impl<'a, const N: usize> IntoIterator for &'a Fds<N> {
    type Item = BorrowedFd<'a>;
    type IntoIter = FdsIter<'a>;

    #[inline]
    fn into_iter(self) -> FdsIter<'a> {
        self.iter()
    }
}

/// Lends the descriptors of an [`Fds`], in order.
#[derive(Clone, Debug)]
pub struct FdsIter<'a> {
    fds: core::slice::Iter<'a, OwnedFd>,
}

impl<'a> Iterator for FdsIter<'a> {
    type Item = BorrowedFd<'a>;

    #[inline]
    fn next(&mut self) -> Option<BorrowedFd<'a>> {
        self.fds.next().map(borrow)
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.fds.size_hint()
    }
}

impl ExactSizeIterator for FdsIter<'_> {}

/// Gives the descriptors of an [`Fds`] away, in order; closes on drop those that nobody took.
#[derive(Debug)]
pub struct FdsIntoIter<const N: usize> {
    fds: Front<N>,
}

impl<const N: usize> Iterator for FdsIntoIter<N> {
    type Item = OwnedFd;

    #[inline]
    fn next(&mut self) -> Option<OwnedFd> {
        self.fds.next()
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.fds.rest().len();
        (left, Some(left))
    }
}

impl<const N: usize> ExactSizeIterator for FdsIntoIter<N> {}
