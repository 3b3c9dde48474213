<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Integration;

use RrPgpool\Tests\Goridge\ProtobufTestCase;
use RrPgpool\Transport\GoridgeCodec;

/**
 * What is to be the same over each transport.
 */
abstract class TransportTestCase extends ClientTestCase
{
    /** @return array<string, array{GoridgeCodec}> */
    public static function codecs(): array
    {
        return [
            'JSON' => [GoridgeCodec::Json],
            'MessagePack' => [GoridgeCodec::Msgpack],
            'protobuf' => [GoridgeCodec::Protobuf],
        ];
    }

    /** @return array<string, array{?GoridgeCodec}> */
    public static function transports(): array
    {
        return ['without goridge' => [null]] + self::codecs();
    }

    protected function setUp(): void
    {
        parent::setUp();
        ProtobufTestCase::forgiveOldProtobuf();
    }

    protected function tearDown(): void
    {
        restore_error_handler();
        parent::tearDown();
    }
}
