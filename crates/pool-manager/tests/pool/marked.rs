//! Marked rows: 64 callers, each of which must only ever see rows that bear its own mark, while
//! statements fail, run out of time and are dropped, over a link that splits, delays and resets.

use std::time::{Duration, Instant};

use pool_manager::{DatabasePool, Statement};
use rand::RngExt;
use rand::rngs::StdRng;
use test_support::{FaultyLink, Seed};

use crate::common::*;

const CALLERS: u64 = 64;
const ROWS: usize = 5;
const DURATION: Duration = Duration::from_millis(2500);

/// Every failure that such a link, such a load and such statements may lead to.
const EXPECTED: [&str; 6] = ["22012", "42703", "57014", "08006", "08001", "40003"];

struct Caller {
    mark: u64,
    pool: DatabasePool,
    rng: StdRng,
    answers: u32,
}

impl Caller {
    async fn run(mut self, end: Instant) -> u32 {
        while Instant::now() < end {
            match self.rng.random_range(0..16) {
                0 => self.fail().await,
                1 => self.run_out_of_time().await,
                2 => self.vanish().await,
                3 => self.transaction().await,
                4 => self.simple().await,
                _ => self.select().await,
            }
        }
        self.answers
    }

    /// Sorts a result: rows must all be ours and complete, an error must be of a known kind.
    fn judge(&mut self, result: Result<Texts, pool_manager::Error>) {
        match result {
            Ok(rows) => {
                let mark = self.mark.to_string();
                assert_eq!(rows.rows.len(), ROWS, "caller {mark}");
                for (n, row) in rows.rows.iter().enumerate() {
                    assert_eq!(row[0].as_deref(), Some(mark.as_str()), "somebody else's row");
                    assert_eq!(row[1].as_deref(), Some(n.to_string().as_str()), "a row is missing");
                }
                self.answers += 1;
            }
            Err(error) => {
                let code = error.sqlstate().to_string();
                assert!(EXPECTED.contains(&code.as_str()), "{code}: {error}");
            }
        }
    }

    /// The rows of this caller, by one of many texts so that statements are evicted all the time.
    fn sql(&mut self) -> String {
        let text = self.rng.random_range(0..4);
        format!("SELECT mark, n, v FROM marks WHERE mark = $1 AND {text} = {text} ORDER BY n")
    }

    async fn select(&mut self) {
        let (sql, args) = (self.sql(), [int(self.mark as i64)]);
        let mut rows = Texts::default();
        let result = self.pool.execute(&Statement::new(&sql, &args), &mut rows).await;
        self.judge(result.map(|_| rows));
    }

    async fn simple(&mut self) {
        let sql = format!(
            "SELECT 'other'; SELECT mark, n FROM marks WHERE mark = {} ORDER BY n",
            self.mark
        );
        let mut rows = Texts::default();
        let statement = Statement { simple: true, ..Statement::new(&sql, &[]) };
        let result = self.pool.execute(&statement, &mut rows).await;
        self.judge(result.map(|_| rows));
    }

    async fn transaction(&mut self) {
        let (sql, args) = (self.sql(), [int(self.mark as i64)]);
        let result = async {
            let mut transaction = self.pool.begin().await?;
            let mut rows = Texts::default();
            transaction.execute(&Statement::new(&sql, &args), &mut rows).await?;
            transaction.commit().await?;
            Ok(rows)
        };
        let result = result.await;
        self.judge(result);
    }

    async fn fail(&mut self) {
        let sql = match self.rng.random_range(0..3) {
            0 => "SELECT nothing FROM marks".to_owned(),
            1 => format!("SELECT {}, n, n / (3 - n) FROM marks ORDER BY n", self.mark),
            _ => "SELECT 1/0".to_owned(),
        };
        let mut rows = Texts::default();
        let result = self.pool.execute(&Statement::new(&sql, &[]), &mut rows).await;
        assert!(result.is_err(), "{sql}");
        self.judge(result.map(|_| rows));
    }

    async fn run_out_of_time(&mut self) {
        let limit = Duration::from_micros(self.rng.random_range(100..3000));
        let result = within(&self.pool, "SELECT -1, -1, pg_sleep(60)", limit).await;
        self.judge(result.map(|_| Texts::default()));
    }

    async fn vanish(&mut self) {
        let (sql, args) = (self.sql(), [int(self.mark as i64)]);
        let mut rows = Texts::default();
        let times = self.rng.random_range(1..6);
        let dropped = if self.rng.random_bool(0.5) { Dropped::AtOnce } else { Dropped::Awoken };
        let statement = Statement::new(&sql, &args);
        let done = poll_times(self.pool.execute(&statement, &mut rows), times, dropped).await;
        if let Some(result) = done {
            self.judge(result.map(|_| rows));
        }
    }
}

async fn marked_rows() {
    let seed = Seed::from_env_or_random("MARKED_SEED");
    let database = database().await;
    let fill = format!(
        "CREATE TABLE marks AS SELECT m AS mark, n, 'v' || m AS v \
         FROM generate_series(0, {CALLERS}) AS m, generate_series(0, {}) AS n",
        ROWS - 1
    );
    database.batch(&fill).await;
    let builder = FaultyLink::builder().seed(seed).split().max_delay(Duration::from_micros(300));
    let link = builder.reset_after(1_500..12_000).start(address(&database)).await;
    let pool = pool_through(&link, &database, 12, |config| {
        config.behavior.statement_cache_size = 2;
        config.pool.acquire_timeout = millis(60_000);
    });
    let end = Instant::now() + DURATION;
    let callers: Vec<_> = (0..CALLERS)
        .map(|mark| {
            let rng = seed.derive(mark).rng();
            let caller = Caller { mark, pool: pool.clone(), rng, answers: 0 };
            tokio::spawn(caller.run(end))
        })
        .collect();
    let mut answers = 0;
    for caller in callers {
        answers += caller.await.unwrap();
    }
    assert!(answers > 64, "only {answers} answers");
    assert!(link.counters().resets > 0, "the link has reset something");
    settled(&pool).await;
    let watch = BackendWatch::new(&database).await;
    eventually("the server agrees", || async { watch.count("true").await <= 12 }).await;
}

#[tokio::test]
async fn marked_rows_reach_their_own_caller_only_on_one_thread() {
    marked_rows().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn marked_rows_reach_their_own_caller_only_on_several_threads() {
    marked_rows().await;
}
