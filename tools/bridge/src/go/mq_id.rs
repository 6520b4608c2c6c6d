//! The number by which a Go service knows a message of another one.

use tpro_wire::Uid;

/// The number of a message of tpro: 31 bits of its uid, so that it fits into an int4.
///
/// A repeat of a message has the uid of the message and so the number, by which the Go side can
/// tell it. The last bits of a uid are random.
pub fn mq_id(uid: &Uid) -> u32 {
    let low = uid.uuid().as_u128() as u64;
    ((low ^ (low >> 32)) as u32) & 0x7fff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_the_uids_alone_and_fits_into_an_int4() {
        let uid = |random: [u8; 10]| Uid::v7(1_700_000_000_000, random);
        let one = mq_id(&uid([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]));
        assert_eq!(one, mq_id(&uid([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])));
        assert_ne!(one, mq_id(&uid([1, 2, 3, 4, 5, 6, 7, 8, 9, 11])));
        assert!(i32::try_from(mq_id(&uid([255; 10]))).is_ok());
    }
}
