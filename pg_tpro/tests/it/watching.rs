//! Readers of all services (`tpro_reader`): the rows that `tpro.services` shows them.

use tpro_testkit::Outcome;

use crate::refusal::refused_with;
use crate::service::database;

#[tpro_testkit::test]
async fn a_login_that_keeps_its_tables_locked_hides_no_other_service() -> Outcome {
    let database = database().await?;
    let (admin, main) = (database.connect().await?, database.connect_as("main").await?);
    admin
        .batch_execute(
            "SELECT tpro.publish('a', 'b', 'c', sender => 'analytic');
             SET statement_timeout = '60s'; SET lock_timeout = '100ms'",
        )
        .await?;
    // Maintenance is short, and nothing keeps a login from leaving its transaction open.
    main.batch_execute("BEGIN; SELECT tpro.make_partitions('main', 'mq_publish', 1000)").await?;
    refused_with(&admin, "55P03", "SELECT count(*) FROM main_service.mq_publish").await?;
    admin.batch_execute("RESET lock_timeout").await?;
    let unsettled = async |service: &str| -> Outcome<Option<i64>> {
        let sql = "SELECT unsettled FROM tpro.services WHERE name = $1";
        Ok(admin.query_one(sql, &[&service]).await?.try_get(0)?)
    };
    assert_eq!((unsettled("main").await?, unsettled("analytic").await?), (None, Some(1)));
    main.batch_execute("ROLLBACK").await?;
    assert_eq!(unsettled("main").await?, Some(0));
    Ok(())
}
