<?php

declare(strict_types=1);

namespace RrPgpool\Tests;

use PHPUnit\Framework\Attributes\DataProvider;

/** The ids that a client's own inserts have made, and nobody else's. */
final class PdoSequenceTest extends PdoTestCase
{
    /** @dataProvider modes */
    #[DataProvider('modes')]
    public function testATransactionKnowsItsLastId(string $database): void
    {
        $pdo = $this->connect($database);
        $table = $this->createTable($pdo, 'id serial, n int');
        $pdo->beginTransaction();
        $pdo->exec("INSERT INTO {$table} (n) VALUES (10), (20), (30)");
        self::assertSame('3', $pdo->lastInsertId());
        self::assertSame('3', $pdo->lastInsertId("{$table}_id_seq"));
        $pdo->exec("INSERT INTO {$table} (n) VALUES (40)");
        self::assertSame('4', $pdo->lastInsertId("{$table}_id_seq"));
        self::assertSame('4', $pdo->lastInsertId());
        $pdo->commit();
        self::assertSame(40, (int) $this->value($pdo, "SELECT n FROM {$table} WHERE id = 4"));
    }

    public function testASessionKnowsItsLastId(): void
    {
        $pdo = $this->connect(self::SESSION);
        $other = $this->connect(self::SESSION);
        $table = $this->createTable($pdo, 'id serial, n int');
        $pdo->exec("INSERT INTO {$table} (n) VALUES (10)");
        $other->exec("INSERT INTO {$table} (n) VALUES (20)");
        self::assertSame('1', $pdo->lastInsertId());
        self::assertSame('1', $pdo->lastInsertId("{$table}_id_seq"));
        self::assertSame('2', $other->lastInsertId());
        self::assertSame('2', $other->lastInsertId("{$table}_id_seq"));
    }

    public function testAutoModeKnowsTheLastIdOfWhoeverAsksForIt(): void
    {
        $clients = $this->connectSeveral(self::AUTO);
        $table = $this->createTable($clients[0], 'id serial, n int');
        // The first question of all may be answered with an error, but never with another's id.
        $clients[1]->exec("INSERT INTO {$table} (n) VALUES (0)");
        $this->assertFails('55000', 'lastval is not yet defined', static fn () => $clients[2]->lastInsertId());
        for ($n = 1; $n <= 20; $n++) {
            foreach ($clients as $client) {
                $id = $this->value($client, "INSERT INTO {$table} (n) VALUES ({$n}) RETURNING id");
                self::assertSame((string) $id, $client->lastInsertId(), "round {$n}");
            }
        }
    }

    /** @dataProvider modes */
    #[DataProvider('modes')]
    public function testNobodySeesAnothersId(string $database): void
    {
        $pdo = $this->connect($database);
        $table = $this->createTable($pdo, 'id serial, n int');
        $sequence = "{$table}_id_seq";
        for ($n = 0; $n < self::SHARED; $n++) {
            $pdo->exec("INSERT INTO {$table} (n) VALUES (10)");
        }
        if ($database === self::SESSION) {
            // Its server connection is the next one's.
            $pdo = null;
        }
        $other = $this->connect($database);
        for ($n = 0; $n < 2 * self::SHARED; $n++) {
            $this->assertFails('55000', 'lastval is not yet defined', static fn () => $other->lastInsertId());
            $this->assertFails('55000', 'not yet defined', static fn () => $other->lastInsertId($sequence));
            $other->beginTransaction();
            $this->assertFails('55000', 'lastval is not yet defined', static fn () => $other->lastInsertId());
            $other->rollBack();
        }
    }

    /** @dataProvider modes */
    #[DataProvider('modes')]
    public function testReturningGivesTheId(string $database): void
    {
        $pdo = $this->connect($database);
        $table = $this->createTable($pdo, 'id int GENERATED ALWAYS AS IDENTITY, n int');
        for ($n = 1; $n <= 2 * self::SHARED; $n++) {
            $id = $this->value($pdo, "INSERT INTO {$table} (n) VALUES (?) RETURNING id", [10 * $n]);
            self::assertSame($n, (int) $id);
        }
    }
}
