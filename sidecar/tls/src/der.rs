//! The few parts of a certificate that are read here: its dates, and the algorithm of its
//! signature.

use rustls::pki_types::{CertificateDer, UnixTime};

/// Tags of ASN.1.
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const VERSION: u8 = 0xa0;

/// The dates between which a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    pub from: UnixTime,
    pub to: UnixTime,
}

/// The dates of a certificate. None if it cannot be read.
pub fn validity(certificate: &CertificateDer<'_>) -> Option<Validity> {
    let (_, certificate, _) = element(certificate)?;
    let (_, mut rest, _) = element(certificate)?;
    if rest.first() == Some(&VERSION) {
        rest = element(rest)?.2;
    }
    // Serial number, algorithm, issuer.
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (_, dates, _) = element(rest)?;
    let (tag, from, rest) = element(dates)?;
    let from = moment(tag, from)?;
    let (tag, to, _) = element(rest)?;
    Some(Validity { from, to: moment(tag, to)? })
}

/// The object identifier of the algorithm that the certificate is signed with, as its bytes.
pub fn signature_algorithm<'a>(certificate: &'a CertificateDer<'_>) -> Option<&'a [u8]> {
    let (_, certificate, _) = element(certificate)?;
    let (_, _, rest) = element(certificate)?;
    let (_, algorithm, _) = element(rest)?;
    Some(element(algorithm)?.1)
}

/// The first element: its tag, its content, and the bytes behind it.
fn element(input: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = input.split_first_chunk()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if bytes.len() > 4 {
            return None;
        }
        (bytes.iter().fold(0usize, |length, byte| length << 8 | usize::from(*byte)), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`.
fn moment(tag: u8, text: &[u8]) -> Option<UnixTime> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let year = text.get(..2)?.parse::<i64>().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, text.get(2..)?)
        }
        GENERALIZED_TIME => (text.get(..4)?.parse().ok()?, text.get(4..)?),
        _ => return None,
    };
    let part = |n: usize| rest.get(2 * n..2 * n + 2)?.parse::<i64>().ok();
    let days = days(year, part(0)?, part(1)?);
    let seconds = ((days * 24 + part(2)?) * 60 + part(3)?) * 60 + part(4)?;
    // Before 1970 is as good as 1970.
    let seconds = u64::try_from(seconds).unwrap_or_default();
    Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)))
}

/// Days from the first of January 1970 to this date. A year is counted from March on, so that the
/// leap day is its last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_certificates_write_them() {
        for (tag, text, seconds) in [
            (UTC_TIME, "700101000000Z", 0),
            (UTC_TIME, "000229120000Z", 951_825_600),
            (UTC_TIME, "491231235959Z", 2_524_607_999),
            (GENERALIZED_TIME, "20500101000000Z", 2_524_608_000),
            (GENERALIZED_TIME, "20240301000001Z", 1_709_251_201),
        ] {
            assert_eq!(moment(tag, text.as_bytes()).map(|at| at.as_secs()), Some(seconds), "{text}");
        }
        for text in ["", "Z", "7001", "70010100000xZ", "é70101000000Z"] {
            assert_eq!(moment(UTC_TIME, text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_certificate_tells_its_dates_and_its_algorithm() {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let mut parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        parameters.not_before = rcgen::date_time_ymd(2020, 2, 29);
        parameters.not_after = rcgen::date_time_ymd(2051, 1, 2);
        let certificate = parameters.self_signed(&key).unwrap();
        let validity = validity(certificate.der()).unwrap();
        assert_eq!((validity.from.as_secs(), validity.to.as_secs()), (1_582_934_400, 2_556_230_400));
        let ecdsa_with_sha256 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
        assert_eq!(signature_algorithm(certificate.der()), Some(&ecdsa_with_sha256[..]));
    }

    #[test]
    fn what_is_no_certificate_has_no_dates() {
        let full = [0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 1];
        for length in 0..full.len() {
            let text = CertificateDer::from(full[..length].to_vec());
            assert_eq!((validity(&text), signature_algorithm(&text)), (None, None));
        }
    }
}
