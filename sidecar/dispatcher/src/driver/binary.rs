//! PostgreSQL's `pg_snapshot`, `xid8` and `timestamptz` in their binary form, so that a list of two
//! hundred open transactions is not written and parsed as text at every read.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use postgres_types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

use crate::core::{
    moment::Moment,
    snapshot::{Snapshot, Xid},
};

impl<'a> FromSql<'a> for Snapshot {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let (count, rest) = raw.split_first_chunk().ok_or("a pg_snapshot without its length")?;
        let count = usize::try_from(i32::from_be_bytes(*count))?;
        let mut ids = rest.chunks_exact(8).map(|id| u64::from_be_bytes(id.try_into().unwrap_or_default()));
        if rest.len() != (count + 2) * 8 {
            return Err("a pg_snapshot of another length than it says".into());
        }
        let (xmin, xmax) = ids.next().zip(ids.next()).ok_or("a pg_snapshot without bounds")?;
        Ok(Self::new(xmin, xmax, ids.collect()))
    }

    accepts!(PG_SNAPSHOT);
}

impl ToSql for Snapshot {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_i32(i32::try_from(self.open().len())?);
        out.put_u64(self.xmin());
        out.put_u64(self.xmax());
        self.open().iter().for_each(|id| out.put_u64(*id));
        Ok(IsNull::No)
    }

    accepts!(PG_SNAPSHOT);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Xid {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(u64::from_be_bytes(raw.try_into()?)))
    }

    accepts!(XID8);
}

impl ToSql for Xid {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_u64(self.0);
        Ok(IsNull::No)
    }

    accepts!(XID8);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Moment {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(i64::from_be_bytes(raw.try_into()?)))
    }

    accepts!(TIMESTAMPTZ);
}

impl ToSql for Moment {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_i64(self.0);
        Ok(IsNull::No)
    }

    accepts!(TIMESTAMPTZ);
    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_written_as_it_was_read() {
        let snapshot = Snapshot::new(10, 20, vec![10, 14]);
        let mut raw = BytesMut::new();
        snapshot.to_sql(&Type::PG_SNAPSHOT, &mut raw).expect("can be written");
        assert_eq!(raw.len(), 4 + 4 * 8);
        assert_eq!(Snapshot::from_sql(&Type::PG_SNAPSHOT, &raw).expect("can be read"), snapshot);
        assert!(Snapshot::from_sql(&Type::PG_SNAPSHOT, &raw[..20]).is_err());
    }
}
