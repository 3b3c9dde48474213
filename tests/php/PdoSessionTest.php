<?php

declare(strict_types=1);

namespace RrPgpool\Tests;

use PDO;
use PHPUnit\Framework\Attributes\DataProvider;

/** State that needs one server connection for good: kept in session mode, refused in transaction mode. */
final class PdoSessionTest extends PdoTestCase
{
    /** @dataProvider statementsThatNeedASession */
    #[DataProvider('statementsThatNeedASession')]
    public function testTransactionModeRefusesWhatCannotWork(string $sql, string $what, string $remedy): void
    {
        foreach ([true, false] as $emulated) {
            $pdo = $this->connect(self::TRANSACTION, [PDO::ATTR_EMULATE_PREPARES => $emulated]);
            $run = static fn () => $pdo->prepare($sql)->execute();
            $error = $this->assertFails('0A000', "{$what} cannot work in transaction mode", $run);
            self::assertStringContainsString($remedy, $error->getMessage());
            $this->assertFails('0A000', $what, static fn () => $pdo->exec($sql));
            self::assertSame(1, (int) $this->value($pdo, 'SELECT 1'));
        }
    }

    /** @dataProvider statementsThatNeedASession */
    #[DataProvider('statementsThatNeedASession')]
    public function testSessionModeTakesThem(string $sql): void
    {
        $pdo = $this->connect(self::SESSION);
        $pdo->beginTransaction();
        $pdo->exec($sql);
        $pdo->commit();
        self::assertSame(1, (int) $this->value($pdo, 'SELECT 1'));
    }

    /** @return array<string, array{string, string, string}> */
    public static function statementsThatNeedASession(): array
    {
        $session = 'behavior.mode: auto or session';

        return [
            'LISTEN' => ['LISTEN news', 'LISTEN', $session],
            'a temporary table' => [
                'CREATE TEMP TABLE t (n int)',
                'a temporary table, view or sequence',
                'within one transaction',
            ],
            'PREPARE' => ['PREPARE p AS SELECT 1', 'PREPARE', "the driver's own prepared statements"],
            'an advisory lock' => [
                'SELECT pg_advisory_lock(1)',
                'a session level advisory lock',
                'pg_advisory_xact_lock',
            ],
            'a held cursor' => ['DECLARE c CURSOR WITH HOLD FOR SELECT 1', 'DECLARE ... WITH HOLD', $session],
        ];
    }

    public function testASessionKeepsItsState(): void
    {
        $pdo = $this->connect(self::SESSION);
        $other = $this->connect(self::SESSION);
        $pdo->exec('CREATE TEMP TABLE basket (item text)');
        $pdo->exec("INSERT INTO basket VALUES ('apple')");
        $pdo->exec('PREPARE pick AS SELECT item FROM basket');
        $pdo->exec('SELECT pg_advisory_lock(77)');
        self::assertNull($this->value($other, "SELECT to_regclass('basket')"));
        self::assertFalse($this->value($other, 'SELECT pg_try_advisory_lock(77)'));
        self::assertSame('apple', $pdo->query('EXECUTE pick')->fetchColumn());
        self::assertTrue($this->value($pdo, 'SELECT pg_advisory_unlock(77)'));
        self::assertTrue($this->value($other, 'SELECT pg_try_advisory_lock(77)'));
    }

    public function testNothingOfASessionIsLeftToTheNext(): void
    {
        $pdo = $this->connect(self::SESSION);
        $pdo->exec("CREATE TEMP TABLE basket (item text); SET work_mem = '123kB'; SELECT pg_advisory_lock(78)");
        $pdo->exec('PREPARE pick AS SELECT item FROM basket');
        $pdo = null;
        $next = $this->connect(self::SESSION);
        // Waits until the other one has been cleaned up.
        $next->exec('SELECT pg_advisory_lock(78)');
        self::assertNull($this->value($next, "SELECT to_regclass('basket')"));
        self::assertNotSame('123kB', $this->value($next, 'SHOW work_mem'));
        $this->assertFails('26000', 'pick', static fn () => $next->exec('EXECUTE pick'));
    }

    public function testNotificationsArriveInSessionMode(): void
    {
        $listener = $this->connect(self::SESSION);
        $listener->exec('LISTEN news');
        self::assertFalse($listener->pgsqlGetNotify());
        $sender = $this->connect(self::TRANSACTION);
        $sender->exec("NOTIFY news, 'tea is ready'");
        $notification = $listener->pgsqlGetNotify(PDO::FETCH_ASSOC, 20_000);
        self::assertIsArray($notification);
        self::assertSame('news', $notification['message']);
        self::assertSame('tea is ready', $notification['payload']);
        self::assertFalse($listener->pgsqlGetNotify());
    }

    public function testScrollableCursorsWorkInSessionMode(): void
    {
        $scroll = [PDO::ATTR_CURSOR => PDO::CURSOR_SCROLL];
        $sql = 'SELECT n FROM generate_series(1, 5) AS n';
        $cursor = $this->connect(self::SESSION)->prepare($sql, $scroll);
        $cursor->execute();
        $fetch = static fn (int $how, int $offset = 0): mixed => $cursor->fetch(PDO::FETCH_NUM, $how, $offset)[0];
        self::assertSame(5, $fetch(PDO::FETCH_ORI_LAST));
        self::assertSame(4, $fetch(PDO::FETCH_ORI_PRIOR));
        self::assertSame(2, $fetch(PDO::FETCH_ORI_ABS, 2));
        // PDO declares them WITH HOLD.
        $refused = $this->connect(self::TRANSACTION)->prepare($sql, $scroll);
        $this->assertFails('0A000', 'DECLARE ... WITH HOLD', static fn (): bool => $refused->execute());
    }

    /** @dataProvider modes */
    #[DataProvider('modes')]
    public function testATransactionKeepsWhatItNeeds(string $database): void
    {
        $pdo = $this->connect($database);
        $pdo->beginTransaction();
        $pdo->exec('CREATE TEMP TABLE basket (item text) ON COMMIT DROP');
        $pdo->exec("INSERT INTO basket VALUES ('apple'), ('pear')");
        $pdo->exec('DECLARE each NO SCROLL CURSOR FOR SELECT item FROM basket ORDER BY item');
        self::assertSame('apple', $pdo->query('FETCH NEXT FROM each')->fetchColumn());
        self::assertSame('pear', $pdo->query('FETCH NEXT FROM each')->fetchColumn());
        $pdo->exec('SELECT pg_advisory_xact_lock(79)');
        self::assertFalse($this->value($this->connect($database), 'SELECT pg_try_advisory_xact_lock(79)'));
        $pdo->commit();
        self::assertTrue($this->value($this->connect($database), 'SELECT pg_try_advisory_xact_lock(79)'));
        self::assertNull($this->value($pdo, "SELECT to_regclass('basket')"));
    }
}
