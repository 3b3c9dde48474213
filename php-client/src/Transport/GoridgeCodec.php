<?php

declare(strict_types=1);

namespace RrPgpool\Transport;

/**
 * The codec that goridge's RPC object was given: nothing tells from outside.
 */
enum GoridgeCodec
{
    /** JsonCodec, goridge's default. */
    case Json;
    /** MsgpackCodec. */
    case Msgpack;
    /** ProtobufCodec; it needs google/protobuf or ext-protobuf. */
    case Protobuf;
}
