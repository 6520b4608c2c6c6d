//! Random words for passwords and tokens.

use uuid::Uuid;

use crate::failure::Outcome;

/// 32 hexadecimal digits from the system's random source.
pub fn secret() -> Outcome<String> {
    let mut random = [0; 16];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut random)?;
    Ok(Uuid::from_bytes(random).simple().to_string())
}
