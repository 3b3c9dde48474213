<?php

declare(strict_types=1);

namespace RrPgpool\Tests;

use PHPUnit\Framework\Attributes\DataProvider;

/** Large objects, whose descriptors live as long as a transaction. */
final class PdoLargeObjectTest extends PdoTestCase
{
    /** @dataProvider modes */
    #[DataProvider('modes')]
    public function testBytesGoInAndOut(string $database): void
    {
        $pdo = $this->connect($database);
        $bytes = random_bytes(300_000);
        $pdo->beginTransaction();
        $oid = $pdo->pgsqlLOBCreate();
        self::assertIsString($oid);
        $stream = $pdo->pgsqlLOBOpen($oid, 'w');
        self::assertIsResource($stream);
        for ($written = 0; $written < strlen($bytes);) {
            $written += (int) fwrite($stream, substr($bytes, $written, 8192));
        }
        fclose($stream);
        $pdo->commit();
        $size = 'SELECT length(lo_get(?::oid))';
        self::assertSame(300_000, (int) $this->value($pdo, $size, [$oid]));

        $reader = $this->connect($database);
        $reader->beginTransaction();
        $stream = $reader->pgsqlLOBOpen($oid, 'r');
        self::assertIsResource($stream);
        self::assertTrue(stream_get_contents($stream) === $bytes, 'other bytes came back');
        fseek($stream, 1000);
        self::assertSame(bin2hex(substr($bytes, 1000, 5)), bin2hex((string) fread($stream, 5)));
        fclose($stream);
        self::assertTrue($reader->pgsqlLOBUnlink($oid));
        $reader->commit();
        $this->assertFails('42704', 'does not exist', fn () => $this->value($pdo, $size, [$oid]));
    }

    /** @dataProvider modes */
    #[DataProvider('modes')]
    public function testRollbackTakesThemBack(string $database): void
    {
        $pdo = $this->connect($database);
        $pdo->beginTransaction();
        $oid = $pdo->pgsqlLOBCreate();
        $pdo->rollBack();
        $exists = 'SELECT count(*) FROM pg_largeobject_metadata WHERE oid = ?';
        self::assertSame(0, (int) $this->value($pdo, $exists, [$oid]));
        $pdo->beginTransaction();
        // PDO has no SQLSTATE for these calls.
        $this->assertFails('HY000', 'does not exist', static fn () => $pdo->pgsqlLOBOpen((string) $oid, 'r'));
        $pdo->rollBack();
    }
}
