//! Messages of D-Bus: as much as it takes to say hello and to find the answer among others.
//!
//! A message is a header and a body. The header has 16 bytes of known places, and an array of fields, each a
//! number, a type and a value; it is filled up to a multiple of 8. All numbers are in the order of bytes that
//! the first byte tells, and are aligned to their size, counted from the first byte of the message.

/// The most bytes of a message that this program takes. D-Bus allows 128 MiB.
pub const MESSAGE_MAX: usize = 64 * 1024;

/// What is before the fields.
const FIXED: usize = 16;

pub const METHOD_CALL: u8 = 1;
pub const METHOD_RETURN: u8 = 2;
pub const ERROR: u8 = 3;

// Fields of a header.
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// The order of the bytes of a number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Endian {
    Little,
    Big,
}

impl Endian {
    pub const NATIVE: Self = if cfg!(target_endian = "big") { Self::Big } else { Self::Little };

    fn bytes(self, number: u32) -> [u8; 4] {
        match self {
            Self::Little => number.to_le_bytes(),
            Self::Big => number.to_be_bytes(),
        }
    }

    fn number(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }
}

/// The call of `Hello`, by which a bus gives its client a name.
pub fn hello(endian: Endian, serial: u32) -> Vec<u8> {
    let mut fields = Vec::new();
    let mut field = |code: u8, kind: u8, value: &str| {
        align(&mut fields);
        fields.extend_from_slice(&[code, 1, kind, 0]);
        // So far it is a multiple of 4, as it must be before a number.
        fields.extend_from_slice(&endian.bytes(value.len() as u32));
        fields.extend_from_slice(value.as_bytes());
        fields.push(0);
    };
    field(PATH, b'o', "/org/freedesktop/DBus");
    field(DESTINATION, b's', "org.freedesktop.DBus");
    field(INTERFACE, b's', "org.freedesktop.DBus");
    field(MEMBER, b's', "Hello");

    let order = if endian == Endian::Big { b'B' } else { b'l' };
    // No flags, and the version 1.
    let mut message = vec![order, METHOD_CALL, 0, 1];
    for number in [0, serial, fields.len() as u32] {
        message.extend_from_slice(&endian.bytes(number));
    }
    message.extend_from_slice(&fields);
    align(&mut message);
    message
}

/// Fills up with zeros to a multiple of 8.
fn align(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(8), 0);
}

/// What is of interest of a message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    pub kind: u8,
    /// The number of the message that this one answers.
    pub reply_serial: Option<u32>,
    pub error_name: Option<String>,
    /// The types of what the body has.
    signature: Vec<u8>,
    body: Vec<u8>,
    endian: Endian,
}

impl Message {
    /// The text that the body begins with, if it does.
    pub fn text(&self) -> Result<Option<String>, String> {
        if self.signature.first() != Some(&b's') {
            return Ok(None);
        }
        let mut reader = Reader { bytes: &self.body, at: 0, endian: self.endian };
        reader.string().map(Some).ok_or_else(|| "a text is not one".to_string())
    }
}

/// Tells the size of the message that `bytes` begin with, as soon as it is known; and the message once it is
/// whole, if it is no larger than [`MESSAGE_MAX`].
#[allow(clippy::type_complexity)]
pub fn parse(bytes: &[u8]) -> Result<Option<(usize, Option<Message>)>, String> {
    let Some(fixed) = bytes.get(..FIXED) else { return Ok(None) };
    let endian = match fixed[0] {
        b'l' => Endian::Little,
        b'B' => Endian::Big,
        other => return Err(format!("{other:#04x} tells no order of bytes")),
    };
    if fixed[3] != 1 {
        return Err(format!("a message of version {}", fixed[3]));
    }
    if fixed[1] == 0 {
        return Err("a message of no kind".to_string());
    }
    let number = |at: usize| {
        let bytes = [fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]];
        usize::try_from(endian.number(bytes)).unwrap_or(usize::MAX)
    };
    let (body, fields) = (number(4), number(12));
    // Both are checked before they are used; where they are too large the sum need not be exact.
    if body > MESSAGE_MAX || fields > MESSAGE_MAX {
        return Ok(Some((usize::MAX, None)));
    }
    let fields_end = FIXED + fields;
    let body_start = fields_end.next_multiple_of(8);
    let size = body_start + body;
    if size > MESSAGE_MAX {
        return Ok(Some((size, None)));
    }
    let Some(whole) = bytes.get(..size) else { return Ok(Some((size, None))) };

    let body = whole[body_start..].to_vec();
    let (signature, kind) = (Vec::new(), fixed[1]);
    let mut message =
        Message { kind, reply_serial: None, error_name: None, signature, body, endian };
    let mut reader = Reader { bytes: &whole[..fields_end], at: FIXED, endian };
    while reader.at < fields_end {
        field(&mut reader, &mut message).ok_or("a field of a header is not one")?;
    }
    Ok(Some((size, Some(message))))
}

/// Reads a field of a header; those that are not known are passed over, as D-Bus wants it.
fn field(reader: &mut Reader<'_>, message: &mut Message) -> Option<()> {
    reader.align(8)?;
    let code = reader.byte()?;
    let kind = reader.signature()?;
    match (code, kind) {
        (0, _) => return None,
        (REPLY_SERIAL, b"u") => message.reply_serial = Some(reader.number()?),
        (ERROR_NAME, b"s") => message.error_name = Some(reader.string()?),
        (SIGNATURE, b"g") => message.signature = reader.signature()?.to_vec(),
        (REPLY_SERIAL | ERROR_NAME | SIGNATURE, _) => return None,
        // The others have one of these types.
        (_, b"s" | b"o") => _ = reader.string()?,
        (_, b"g") => _ = reader.signature()?,
        (_, b"u" | b"i" | b"b" | b"h") => _ = reader.number()?,
        (_, b"y") => _ = reader.byte()?,
        _ => return None,
    }
    Some(())
}

/// Reads values one behind the other; none where they are not as they should be.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    endian: Endian,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn align(&mut self, size: usize) -> Option<()> {
        let padding = self.take(self.at.next_multiple_of(size) - self.at)?;
        padding.iter().all(|byte| *byte == 0).then_some(())
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn number(&mut self) -> Option<u32> {
        self.align(4)?;
        let bytes = self.take(4)?.try_into().ok()?;
        Some(self.endian.number(bytes))
    }

    /// A text, which has its length before it and a NUL behind it, and none inside.
    fn string(&mut self) -> Option<String> {
        let len = usize::try_from(self.number()?).ok()?;
        let text = self.take(len)?;
        if self.byte()? != 0 || text.contains(&0) {
            return None;
        }
        String::from_utf8(text.to_vec()).ok()
    }

    fn signature(&mut self) -> Option<&'a [u8]> {
        let len = usize::from(self.byte()?);
        let text = self.take(len)?;
        (self.byte()? == 0).then_some(text)
    }
}
