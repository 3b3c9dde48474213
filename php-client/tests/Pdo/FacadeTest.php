<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Pdo;

use PDO;
use PDOException;
use RrPgpool\Exception\UniqueViolation;
use RrPgpool\IsolationLevel;
use RrPgpool\Pdo\PgpoolPdo;
use RrPgpool\Tests\Servers;
use RrPgpool\Transport\StreamTransport;
use ValueError;

/**
 * What is the facade's own: settings, sessions, and where a pool makes a difference.
 */
final class FacadeTest extends FacadeTestCase
{
    public function testSettingsHoldEverywhere(): void
    {
        $pdo = $this->facade(['TimeZone' => 'Asia/Tokyo', 'app.user' => 42]);
        $read = static fn (): array => $pdo->query("SELECT current_setting('TimeZone'), current_setting('app.user')")
            ->fetch(PDO::FETCH_NUM);

        self::assertSame(['Asia/Tokyo', '42'], $read());
        $pdo->beginTransaction();
        self::assertSame(['Asia/Tokyo', '42'], $read());
        $pdo->commit();
        $pdo->openSession();
        self::assertSame(['Asia/Tokyo', '42'], $read());
        $pdo->beginTransaction();
        self::assertSame(['Asia/Tokyo', '42'], $read());
        $pdo->rollBack();
        $pdo->closeSession();
        $other = $this->facade();
        self::assertSame('UTC', $other->query("SELECT current_setting('TimeZone')")->fetchColumn());
    }

    public function testIsolationOfTransactions(): void
    {
        $transport = new StreamTransport(Servers::address());
        $pdo = new PgpoolPdo($transport, isolation: IsolationLevel::Serializable);
        $pdo->beginTransaction();
        self::assertSame('serializable', $pdo->query('SHOW transaction_isolation')->fetchColumn());
        $pdo->rollBack();
    }

    public function testAnotherDatabase(): void
    {
        $pdo = $this->facade([], 'other');
        self::assertSame(1, $pdo->query('SELECT 1')->fetchColumn());
        self::assertStringStartsWith('1', $pdo->getAttribute(PDO::ATTR_SERVER_VERSION));
        $this->assertFails('3D000', 'nosuch', fn () => $this->facade([], 'nosuch')->query('SELECT 1'));
    }

    public function testStatementsThatNeedASession(): void
    {
        $pdo = $this->facade();
        $this->assertFails('0A000', 'openSession()', static fn () => $pdo->exec("SET TimeZone = 'Asia/Tokyo'"));
        $this->assertFails('55000', 'openSession()', static fn () => $pdo->lastInsertId());

        $pdo->openSession();
        self::assertTrue($pdo->hasSession());
        $pdo->exec("SET TimeZone = 'Asia/Tokyo'");
        self::assertSame('Asia/Tokyo', $pdo->query('SHOW TimeZone')->fetchColumn());
        $pdo->exec('CREATE TEMPORARY TABLE t (id serial); INSERT INTO t DEFAULT VALUES');
        self::assertSame('1', $pdo->lastInsertId());
        self::assertSame('1', $pdo->lastInsertId('t_id_seq'));
        $pdo->closeSession();
        self::assertFalse($pdo->hasSession());
        $this->assertFails('42P01', 'does not exist', static fn () => $pdo->query('SELECT * FROM t'));
    }

    public function testTransactions(): void
    {
        $pdo = $this->facade();
        $other = $this->facade();
        $table = $this->createTable($pdo, 'a int');
        $count = static fn (): int => $other->query("SELECT count(*) FROM {$table}")->fetchColumn();

        $pdo->beginTransaction();
        $pdo->exec("INSERT INTO {$table} VALUES (1)");
        self::assertSame(0, $count());
        $pdo->commit();
        self::assertSame(1, $count());
        $pdo->beginTransaction();
        $pdo->prepare("INSERT INTO {$table} VALUES (?)")->execute([2]);
        $pdo->exec('SAVEPOINT a');
        $pdo->exec("INSERT INTO {$table} VALUES (3)");
        $pdo->exec('ROLLBACK TO SAVEPOINT a');
        $pdo->commit();
        self::assertSame(2, $count());
        $pdo->beginTransaction();
        $pdo->exec("DELETE FROM {$table}");
        self::assertTrue($pdo->reset());
        self::assertFalse($pdo->reset());
        self::assertSame(2, $count());
    }

    public function testCommittingAFailedTransactionIsAnError(): void
    {
        $pdo = $this->facade();
        $pdo->beginTransaction();
        $this->assertFails('22012', 'division', static fn () => $pdo->exec('SELECT 1/0'));
        $this->assertFails('25P02', 'rolled back', static fn () => $pdo->commit());
        self::assertFalse($pdo->inTransaction());
    }

    public function testTheEndOfTheObjectRollsBack(): void
    {
        $observer = $this->facade();
        $table = $this->createTable($observer, 'a int');
        $pdo = $this->facade();
        $pdo->beginTransaction();
        $pdo->exec("LOCK TABLE {$table}");
        $statement = $pdo->query('SELECT 1');
        unset($pdo);
        $this->assertFails('55P03', 'lock', static fn () => $observer->exec(
            "DO \$\$ BEGIN LOCK TABLE {$table} NOWAIT; END \$\$",
        ));
        unset($statement);
        self::assertSame(0, $observer->exec("DO \$\$ BEGIN LOCK TABLE {$table} NOWAIT; END \$\$"));
    }

    public function testTheExceptionBehindAnError(): void
    {
        $pdo = $this->facade();
        $table = $this->createTable($pdo, 'id int CONSTRAINT the_key_of_' . bin2hex(random_bytes(4)) . ' PRIMARY KEY');
        $pdo->exec("INSERT INTO {$table} VALUES (1)");
        $error = $this->assertFails('23505', 'DETAIL:  Key (id)=(1) already exists.', static fn () => $pdo
            ->prepare("INSERT INTO {$table} VALUES (?)")->execute([1]));

        self::assertInstanceOf(UniqueViolation::class, $error->getPrevious());
        self::assertStringStartsWith('the_key_of_', $error->getPrevious()->constraint());
        self::assertSame(7, $error->errorInfo[1]);
    }

    public function testPostgresqlsOwnPlaceholders(): void
    {
        $statement = $this->facade()->prepare('SELECT $2::text, $1::int');
        $statement->execute([1, 'x']);
        self::assertSame(['x', 1], $statement->fetch(PDO::FETCH_NUM));
    }

    public function testOperatorsThatPdoTakesForPlaceholders(): void
    {
        $statement = $this->facade()->prepare(
            "SELECT '{\"a\":1}'::jsonb ?| :keys, '{\"a\":1}'::jsonb ?& :keys, ('{1,2,3}'::int[])[2:3], j @? :path "
            . "FROM (VALUES ('[1]'::jsonb)) t (j)",
        );
        $statement->execute(['keys' => '{a,b}', 'path' => '$[0]']);
        self::assertSame([true, false, '{2,3}', true], $statement->fetch(PDO::FETCH_NUM));
    }

    public function testWhatIsRefused(): void
    {
        $pdo = $this->facade();
        $this->assertFails('0A000', 'cursor', static fn () => $pdo->prepare('SELECT 1', [
            PDO::ATTR_CURSOR => PDO::CURSOR_SCROLL,
        ]));
        $this->assertFails('0A000', 'class', static fn () => $pdo->setAttribute(PDO::ATTR_STATEMENT_CLASS, ['X']));
        $this->assertFails('0A000', 'COPY', static fn () => $pdo->exec('COPY pg_class TO STDOUT'));
        $this->assertFails('42601', 'several statements', static fn () => $pdo->query('SELECT 1; SELECT 2'));
        $this->assertFails('22023', 'UTF-8', static fn () => $pdo->prepare('SELECT ?::text')->execute(["\xff"]));
        try {
            $pdo->query('SELECT 1')->fetch(PDO::FETCH_LAZY);
            self::fail('FETCH_LAZY');
        } catch (ValueError $error) {
            self::assertStringContainsString('FETCH_LAZY', $error->getMessage());
        }
        $this->expectException(ValueError::class);
        PgpoolPdo::connect(Servers::address(), 'app', 'secret');
    }

    public function testWithoutAPool(): void
    {
        $this->assertFails('22023', 'nowhere', static fn () => PgpoolPdo::connect('nowhere'));
        $nobody = new PgpoolPdo(new StreamTransport('unix:///nonexistent/pgpool.sock', 0.1));
        $this->assertFails('08001', 'server closed the connection unexpectedly', static fn () => $nobody->exec('x'));
        $this->assertFails('08001', 'pgpool.sock', static fn () => $nobody->beginTransaction());
        self::assertFalse($nobody->inTransaction());
    }

    public function testAForkedChildLeavesTheTransactionAlone(): void
    {
        if (!function_exists('pcntl_fork')) {
            self::markTestSkipped('ext-pcntl is missing');
        }
        $pdo = $this->facade();
        $pdo->beginTransaction();
        $pdo->exec('CREATE TEMPORARY TABLE of_the_parent (a int) ON COMMIT DROP');
        $child = pcntl_fork();
        if ($child === 0) {
            try {
                $pdo->exec('SELECT 1');
                $state = 'none';
            } catch (PDOException $error) {
                $state = $error->getCode();
            }
            $pdo->rollBack();
            $alone = $pdo->query('SELECT 1')->fetchColumn() === 1;
            // No exit(): that would run what PHPUnit and the parent's servers have for the end.
            posix_kill(getmypid(), $state === '25000' && $alone ? SIGUSR1 : SIGKILL);
        }
        pcntl_waitpid($child, $status);
        self::assertSame(SIGUSR1, pcntl_wtermsig($status));
        self::assertSame(0, $pdo->query('SELECT count(*) FROM of_the_parent')->fetchColumn());
        $pdo->commit();
    }

    public function testWarnings(): void
    {
        $pdo = $this->facade();
        $pdo->setAttribute(PDO::ATTR_ERRMODE, PDO::ERRMODE_WARNING);
        $warnings = [];
        set_error_handler(static function (int $level, string $text) use (&$warnings): bool {
            $warnings[] = [$level, $text];

            return true;
        });
        try {
            self::assertFalse($pdo->prepare('nonsense')->execute());
        } finally {
            restore_error_handler();
        }
        $text = 'PDOStatement::execute(): SQLSTATE[42601]: Syntax error: 7 ERROR:  syntax error at or near "nonsense"';
        self::assertSame([[E_USER_WARNING, "{$text}\nLINE 1: nonsense\n        ^"]], $warnings);
    }

    public function testAQueryCanRepeat(): void
    {
        $statement = $this->facade()->prepare('SELECT g FROM generate_series(1, 3) g');
        for ($i = 0; $i < 2; $i++) {
            $statement->execute();
            self::assertSame([1, 2, 3], $statement->fetchAll(PDO::FETCH_COLUMN));
            self::assertSame([], $statement->fetchAll());
        }
    }
}
