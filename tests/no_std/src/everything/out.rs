//! What is printed.

use core::fmt::{self, Write};

use crate::check;
use crate::check::Failure;
pub use crate::start::print;

pub fn report(failure: &Failure) {
    print("failed: ");
    print(failure.file);
    print(":");
    let mut digits = [0; 10];
    let mut rest = failure.line;
    let mut text = "";
    for at in (0..10).rev() {
        if let Some(slot) = digits.get_mut(at) {
            *slot = b'0' | (rest % 10) as u8;
        }
        rest /= 10;
        if rest == 0 {
            text = digits.get(at..).and_then(|digits| str::from_utf8(digits).ok()).unwrap_or("");
            break;
        }
    }
    print(text);
    print("\n");
}

/// A place to print to.
pub struct Line {
    bytes: [u8; 640],
    len: usize,
}

impl Line {
    pub const fn new() -> Self {
        Self { bytes: [0; 640], len: 0 }
    }

    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..self.len).unwrap_or(&[]);
        str::from_utf8(bytes).unwrap_or("")
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let free = self.bytes.get_mut(self.len..).ok_or(fmt::Error)?;
        let (to, _) = free.split_at_mut_checked(text.len()).ok_or(fmt::Error)?;
        for (slot, byte) in to.iter_mut().zip(text.bytes()) {
            *slot = byte;
        }
        self.len = self.len.wrapping_add(text.len());
        Ok(())
    }
}

/// Takes any text, and keeps none.
struct Nowhere {
    bytes: usize,
}

impl Write for Nowhere {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes = self.bytes.wrapping_add(text.len());
        Ok(())
    }
}

/// Formats it for a programmer, on one line and on several.
pub fn shows(value: &impl fmt::Debug) -> Result<(), Failure> {
    let mut nowhere = Nowhere { bytes: 0 };
    check!(write!(nowhere, "{value:?}").is_ok() && write!(nowhere, "{value:#?}").is_ok());
    check!(nowhere.bytes > 2);
    Ok(())
}
