//! What can go wrong with batches.

use core::fmt;

use rustix::io::Errno;

/// A message was not added to a batch, because there are as many as its
/// [`BatchBuf`](crate::BatchBuf) has memory for; those stay as they are.
///
/// # Examples
///
/// ```
/// use afunix::BatchBuf;
///
/// let mut memory = BatchBuf::<2>::new();
/// let mut batch = memory.sender();
/// batch.push(b"one")?;
/// batch.push(b"two")?;
/// let error = batch.push(b"three").unwrap_err();
/// assert_eq!(error.capacity, 2);
/// assert_eq!(error.to_string(), "the batch is full, it has memory for 2 messages");
/// # Ok::<(), afunix::BatchFull>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct BatchFull {
    /// How many messages there is memory for.
    pub capacity: usize,
}

impl BatchFull {
    /// The errno that says the same: `ENOBUFS`.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::{BatchBuf, Errno};
    ///
    /// let mut none = BatchBuf::<0>::new();
    /// assert_eq!(none.sender().push(b"one").unwrap_err().errno(), Errno::NOBUFS);
    /// ```
    #[must_use]
    pub const fn errno(self) -> Errno {
        Errno::NOBUFS
    }
}

impl fmt::Display for BatchFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the batch is full, it has memory for {} messages", self.capacity)
    }
}

impl core::error::Error for BatchFull {}
