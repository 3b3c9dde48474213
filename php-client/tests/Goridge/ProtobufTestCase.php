<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Goridge;

use Google\Protobuf\Internal\Message;
use PHPUnit\Framework\TestCase;

/** A test that needs google/protobuf. */
abstract class ProtobufTestCase extends TestCase
{
    protected function setUp(): void
    {
        if (!class_exists(Message::class)) {
            self::markTestSkipped('google/protobuf is not installed (on Debian: php-google-protobuf)');
        }
        self::forgiveOldProtobuf();
    }

    protected function tearDown(): void
    {
        restore_error_handler();
    }

    /** google/protobuf 3.21, which Debian has, is older than PHP 8.2 and makes dynamic properties. */
    public static function forgiveOldProtobuf(): void
    {
        set_error_handler(
            static fn (int $level, string $text, string $file): bool => str_contains($file, '/Google/Protobuf/'),
            E_DEPRECATED,
        );
    }
}
