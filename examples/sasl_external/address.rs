//! The addresses of D-Bus: `unix:path=/run/bus,guid=...;unix:abstract=a%20name`.
//!
//! A text is a list of servers to be tried in turn, with `;` between them; each is a method, `:`, and
//! keys with values, with `,` between them. In a value `%` and two hexadecimal digits are a byte, and
//! what is not a letter, a digit or one of `-_/.\*` must be written so.

use afunix::UnixAddr;

/// A server that this program can connect to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Server {
    pub addr: UnixAddr,
    /// What the server calls itself in the answer to `AUTH`, if the address says it.
    pub guid: Option<Vec<u8>>,
}

/// The servers in the order in which they are to be tried; in place of one that cannot be reached from
/// here, the reason. `runtime` is `XDG_RUNTIME_DIR`, for `unix:runtime=yes`.
///
/// One that is written wrong makes the whole text wrong.
pub fn parse(text: &[u8], runtime: Option<&[u8]>) -> Result<Vec<Result<Server, String>>, String> {
    // Libraries of D-Bus overlook a `;` and a `,` at the end.
    let entries = text.split(|byte| *byte == b';').filter(|entry| !entry.is_empty());
    let servers: Vec<_> = entries.map(|entry| server(entry, runtime)).collect::<Result<_, _>>()?;
    if servers.is_empty() { Err("it is empty".to_string()) } else { Ok(servers) }
}

fn server(text: &[u8], runtime: Option<&[u8]>) -> Result<Result<Server, String>, String> {
    let shown = text.escape_ascii();
    let (method, keys) = cut(text, b':').ok_or_else(|| format!("{shown} has no method"))?;
    let mut pairs: Vec<(&[u8], Vec<u8>)> = Vec::new();
    for pair in keys.split(|byte| *byte == b',').filter(|pair| !pair.is_empty()) {
        let wrong = |why| format!("in {shown}, {} {why}", pair.escape_ascii());
        let (key, value) = cut(pair, b'=').ok_or_else(|| wrong("has no value"))?;
        if key.is_empty() || value.is_empty() {
            return Err(wrong("lacks a key or a value"));
        }
        // Some take the first then and some the last.
        if pairs.iter().any(|(other, _)| *other == key) {
            return Err(wrong("is there twice"));
        }
        pairs.push((key, unescape(value).map_err(wrong)?));
    }
    let value = |name: &str| {
        pairs.iter().find(|(key, _)| *key == name.as_bytes()).map(|(_, value)| value.as_slice())
    };
    if method != b"unix" {
        return Ok(Err(format!("{shown}: this program connects to `unix:` alone")));
    }
    let addr = match (value("path"), value("abstract"), value("runtime")) {
        (Some(path), None, None) => UnixAddr::from_pathname(path),
        (None, Some(name), None) => UnixAddr::from_abstract_name(name),
        (None, None, Some(b"yes")) => match runtime {
            Some(dir) => UnixAddr::from_pathname(&[dir, b"/bus"].concat()),
            None => return Ok(Err(format!("{shown}: there is no XDG_RUNTIME_DIR"))),
        },
        (None, None, None) if value("dir").or(value("tmpdir")).is_some() => {
            return Ok(Err(format!("{shown}: this is where a server chooses a name")));
        }
        _ => return Err(format!("{shown} wants either a path or an abstract name")),
    };
    let guid = value("guid").map(<[u8]>::to_vec);
    Ok(addr.map(|addr| Server { addr, guid }).map_err(|error| format!("{shown}: {error}")))
}

/// What stands before and behind the first of these bytes.
fn cut(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let position = text.iter().position(|byte| *byte == at)?;
    Some((&text[..position], &text[position + 1..]))
}

fn unescape(value: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut bytes = Vec::new();
    let mut rest = value;
    loop {
        rest = match rest {
            [] => return Ok(bytes),
            [b'%', high, low, rest @ ..] => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let byte = match (digit(*high), digit(*low)) {
                    (Some(high), Some(low)) => (high * 16 + low).to_be_bytes()[3],
                    _ => return Err("has a `%` without two hexadecimal digits"),
                };
                // It would end a path, and what most programs make of an abstract name.
                if byte == 0 {
                    return Err("has a NUL in it");
                }
                bytes.push(byte);
                rest
            }
            [b'%', ..] => return Err("has a `%` without two hexadecimal digits"),
            [byte, rest @ ..] if byte.is_ascii_alphanumeric() || b"-_/.\\*".contains(byte) => {
                bytes.push(*byte);
                rest
            }
            _ => return Err("has a byte that must be written with `%`"),
        };
    }
}
