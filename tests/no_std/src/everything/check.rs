//! Checks that return where others panic, and inputs that nobody can see through.

use core::hint::black_box;

use afunix::{Errno, UnixAddr, UnixDatagram};

/// Where a check failed.
pub struct Failure {
    pub file: &'static str,
    pub line: u32,
}

/// Returns from the function unless it holds.
#[macro_export]
macro_rules! check {
    ($holds:expr) => {
        if !$holds {
            return Err($crate::check::Failure { file: file!(), line: line!() });
        }
    };
}

/// The value of an `Ok` or a `Some`; returns from the function if it is neither.
#[macro_export]
macro_rules! get {
    ($result:expr) => {
        match $crate::check::Gives::gives($result) {
            Some(value) => value,
            None => return Err($crate::check::Failure { file: file!(), line: line!() }),
        }
    };
}

pub trait Gives {
    type Value;
    fn gives(self) -> Option<Self::Value>;
}

impl<T> Gives for Option<T> {
    type Value = T;
    fn gives(self) -> Option<T> {
        self
    }
}

impl<T, E> Gives for Result<T, E> {
    type Value = T;
    fn gives(self) -> Option<T> {
        self.ok()
    }
}

/// The same, but the compiler does not know: not the bytes of a slice, nor how many.
pub fn opaque<T>(value: T) -> T {
    black_box(value)
}

/// Calls that differ only in the errno that they should give.
pub fn is<T>(result: Result<T, Errno>, errno: Errno) -> bool {
    matches!(result, Err(found) if found == errno)
}

/// Names that nobody else has: they begin with one that the kernel picked for us.
pub struct Names {
    holder: UnixDatagram,
    prefix: UnixAddr,
}

impl Names {
    pub fn new() -> Result<Self, Failure> {
        let (holder, prefix) = get!(UnixDatagram::autobind());
        Ok(Self { holder, prefix })
    }

    /// The prefix, held for as long as `self`, and `tag`.
    pub fn name(&self, tag: u8) -> Result<UnixAddr, Failure> {
        check!(self.holder.local_addr() == Ok(self.prefix));
        let mut name = [0; 6];
        let prefix = get!(self.prefix.as_abstract_name());
        let [start @ .., last] = &mut name;
        check!(start.len() == prefix.len());
        for (slot, byte) in start.iter_mut().zip(prefix) {
            *slot = *byte;
        }
        *last = tag;
        Ok(get!(UnixAddr::from_abstract_name(opaque(&name))))
    }
}
